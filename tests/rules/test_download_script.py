"""Downloads through the script, with the options of the rules."""

import hashlib

from helpers import files_below, refused, run_script, succeeded


def test_files_of_a_list_are_downloaded_and_folders_renamed(tmp_path):
    (tmp_path / "theirs" / "stimuli").mkdir(parents=True)
    (tmp_path / "theirs" / "stimuli" / "cat1.png").write_bytes(b"cat")
    (tmp_path / "list").write_text(f"{hashlib.sha256(b'cat').hexdigest()}  stimuli/cat1.png\n")
    source = ["--source", (tmp_path / "theirs").as_uri(), "--checksums", tmp_path / "list"]
    succeeded(run_script("download", *source, "--take", "stimuli=edges", "--out", tmp_path / "out"))
    assert (tmp_path / "out" / "edges" / "cat1.png").read_bytes() == b"cat"


def test_an_invalid_checksum_is_named(tmp_path):
    done = run_script("download", "--source", "x", "--sha256", "12ab", "--out", tmp_path / "x")
    refused(done, "--sha256", "'12ab'", "64 hexadecimal digits")


def test_a_wrong_checksum_is_reported_in_one_line_and_no_file_is_written(tmp_path):
    (tmp_path / "mine.pth").write_bytes(b"cat")
    out = tmp_path / "out" / "decoder.pth"
    done = run_script("download", "--source", tmp_path / "mine.pth", "--sha256", 64 * "0", "--out", out)
    refused(done, "mine.pth", 64 * "0", hashlib.sha256(b"cat").hexdigest())
    assert files_below(tmp_path / "out") == []
