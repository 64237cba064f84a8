"""The script that lists a split's checksums."""

import subprocess

from helpers import run_script


def test_sha256sum_checks_a_list_in_the_folder_of_its_files(tmp_path):
    for shard in range(12):
        (tmp_path / f"{shard}.tar").write_bytes(bytes([shard]))
    done = run_script("checksums", f"{tmp_path}/{{0..11}}.tar", "--out", tmp_path / "sha256sums.txt")
    assert done.returncode == 0, done.stderr
    names = [line.split("  ")[1] for line in (tmp_path / "sha256sums.txt").read_text().splitlines()]
    assert names == [f"{shard}.tar" for shard in range(12)]
    check = ["sha256sum", "--check", "--quiet", "sha256sums.txt"]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "3.tar").write_bytes(b"other")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


def test_a_missing_shard_is_named_and_no_list_is_written(tmp_path):
    (tmp_path / "0.tar").touch()
    done = run_script("checksums", f"{tmp_path}/{{0..1}}.tar", "--out", tmp_path / "sha256sums.txt")
    assert done.returncode == 1
    assert done.stderr.strip() == f"error: No such file or directory: {tmp_path}/1.tar"
    assert [path.name for path in tmp_path.iterdir()] == ["0.tar"]
