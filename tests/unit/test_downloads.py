"""Downloads from a real server on this machine: complete, interrupted, damaged, changed and missing files."""

import errno
import hashlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers import ENV, ROOT, files_below

from shapebias import downloads
from shapebias.errors import UserError

CONTENT = bytes(range(256)) * 40  # 10,240 bytes


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Site:
    """The server's files and faults. `requests` lists the path and Range header of each request."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None  # bytes after which it hangs up
    stall: threading.Event | None = None  # it waits for this event before it hangs up
    weak: bool = False  # whether its tags are weak
    ranges: bool = True  # whether it resumes an interrupted download
    status: list[int] = field(default_factory=list)  # error statuses before it works normally
    requests: list[tuple[str, str | None]] = field(default_factory=list)


class Server(ThreadingHTTPServer):
    request_queue_size = 32  # so that eight simultaneous connections need no retry after a second


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def site() -> Iterator[Site]:
    site_state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            site_state.requests.append((self.path, self.headers.get("Range")))
            data = site_state.files.get(self.path)
            status = site_state.status.pop(0) if site_state.status else 404 if data is None else 200
            if status != 200:
                self.send_error(status)
                return
            assert data is not None
            tag, start = f'"{sha(data)[:8]}"', 0
            wanted = self.headers.get("Range")
            if wanted and site_state.ranges and self.headers.get("If-Range", tag) == tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(data):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.send_header("ETag", f"W/{tag}" if site_state.weak else tag)
            self.end_headers()
            self.wfile.write(data[start:] if site_state.cut is None else data[start : site_state.cut])
            if site_state.stall is not None:
                site_state.stall.wait(60)
            if site_state.cut is not None:
                self.connection.close()

        def log_message(self, format, *args):
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    site_state.address = f"http://127.0.0.1:{server.server_port}"
    yield site_state
    server.shutdown()
    server.server_close()


fetch = partial(downloads.fetch, pauses=())


def test_a_complete_file_is_not_downloaded_again(site, tmp_path):
    site.files["/x.pth"] = CONTENT
    for _ in range(2):
        fetch(f"{site.address}/x.pth", tmp_path / "new" / "x.pth", sha(CONTENT))
    assert (tmp_path / "new" / "x.pth").read_bytes() == CONTENT
    assert len(site.requests) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.pth"]


def test_an_interrupted_download_resumes(site, tmp_path):
    site.files["/x.pth"], site.cut = CONTENT, 4000
    with pytest.raises(UserError, match=r"/x\.pth: .*run again to resume the download"):
        fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(CONTENT))
    assert not (tmp_path / "x.pth").exists()
    site.cut = None
    fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(CONTENT))
    assert site.requests == [("/x.pth", None), ("/x.pth", "bytes=4000-")]
    assert (tmp_path / "x.pth").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["x.pth"]


def test_a_killed_download_resumes(site, tmp_path):
    content, partial_file = CONTENT * 20, tmp_path / ".x.pth.partial"
    site.files["/x.pth"], site.cut, site.stall = content, 150_000, threading.Event()
    script = [sys.executable, ROOT / "scripts" / "download.py", "--source", f"{site.address}/x.pth"]
    process = subprocess.Popen([*script, "--out", tmp_path / "x.pth"], env=ENV | {"no_proxy": "127.0.0.1"})
    until = time.monotonic() + 60
    while not (partial_file.exists() and partial_file.stat().st_size) and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.wait()
    site.stall.set()
    partial_bytes, site.cut = partial_file.stat().st_size, None
    fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(content))
    assert 0 < partial_bytes <= 150_000 and site.requests[1] == ("/x.pth", f"bytes={partial_bytes}-")
    assert (tmp_path / "x.pth").read_bytes() == content


def test_a_complete_partial_file_is_moved_into_place_without_another_download(site, tmp_path):
    site.files["/x.pth"] = CONTENT
    (tmp_path / ".x.pth.partial").write_bytes(CONTENT)
    fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(CONTENT))
    assert (tmp_path / "x.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("changed", ["server without ranges", "file changed since"])
def test_a_download_that_cannot_resume_starts_again(site, tmp_path, changed):
    site.files["/x.pth"], site.cut = CONTENT, 4000
    with pytest.raises(UserError):
        fetch(f"{site.address}/x.pth", tmp_path / "x.pth")
    site.cut = None
    if changed == "file changed since":
        site.files["/x.pth"] = CONTENT[::-1]
    else:
        site.ranges = False
    fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(site.files["/x.pth"]))
    assert (tmp_path / "x.pth").read_bytes() == site.files["/x.pth"]


def test_a_file_without_a_tag_is_downloaded_from_its_beginning(site, tmp_path):
    """A weak tag promises the same meaning, but not the same bytes."""
    site.files["/x.pth"], site.cut, site.weak = CONTENT, 4000, True
    with pytest.raises(UserError, match="run again to resume the download"):
        fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(CONTENT))
    site.cut = None
    fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(CONTENT))
    assert site.requests[0] == ("/x.pth", None) and (tmp_path / "x.pth").read_bytes() == CONTENT


def test_a_wrong_checksum_is_reported_and_no_file_is_left(site, tmp_path):
    site.files["/x.pth"] = CONTENT
    with pytest.raises(UserError, match=f"/x.pth: its SHA-256 is {sha(CONTENT)}, expected {64 * '0'}"):
        fetch(f"{site.address}/x.pth", tmp_path / "x.pth", 64 * "0")
    assert list(tmp_path.iterdir()) == []


def test_the_first_digits_of_a_checksum_are_enough(site, tmp_path):
    """torch.hub's file names contain the first digits of a checksum."""
    site.files["/x.pth.tar"] = CONTENT
    source = f"{site.address}/x.pth.tar"
    for _ in range(2):
        fetch(source, tmp_path / "x.pth.tar", sha(CONTENT)[:8])
    assert (tmp_path / "x.pth.tar").read_bytes() == CONTENT and len(site.requests) == 1
    with pytest.raises(UserError, match=f"is {sha(CONTENT)}, expected 00000000;"):
        fetch(source, tmp_path / "y", "00000000")


def test_a_busy_server_is_retried(site, tmp_path):
    site.files["/x.pth"], site.status = CONTENT, [503, 429]
    downloads.fetch(f"{site.address}/x.pth", tmp_path / "x.pth", sha(CONTENT), pauses=(0.01, 0.01))
    assert (tmp_path / "x.pth").read_bytes() == CONTENT
    assert len(site.requests) == 3


def test_a_missing_file_is_reported_at_once(site, tmp_path):
    with pytest.raises(UserError, match=r"/gone\.pth: the server replied 404.*give a path"):
        downloads.fetch(f"{site.address}/gone.pth", tmp_path / "gone.pth")
    assert len(site.requests) == 1


def test_an_unreachable_address_is_reported(tmp_path):
    with pytest.raises(UserError, match=r"^http://127\.0\.0\.1:9/x: .*refused.*give a path"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x")


@pytest.mark.parametrize(
    "error", [socket.gaierror(-3, "Temporary failure in name resolution"), OSError(errno.ENETUNREACH, "Unreachable")]
)
def test_without_internet_the_error_comes_at_once_with_advice(tmp_path, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it tries again"))
    with pytest.raises(UserError, match=r"^http://example\.org/x: .*target `downloads`, on a login node.*a local file"):
        downloads.fetch("http://example.org/x", tmp_path / "x")


def test_is_reachable_tests_the_connection_except_behind_a_proxy(site, monkeypatch):
    assert downloads.is_reachable(site.address)
    assert not downloads.is_reachable("http://127.0.0.1:9/x")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")  # the proxy may reach the server
    assert downloads.is_reachable("http://127.0.0.1:9/x")


def test_a_full_disk_is_reported_before_anything_is_written(site, tmp_path, monkeypatch):
    site.files["/x.pth"] = CONTENT
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    with pytest.raises(UserError, match=r"x\.pth needs about 0.0 MB, but .* has 0.0 MB left"):
        fetch(f"{site.address}/x.pth", tmp_path / "x.pth")
    assert not (tmp_path / ".x.pth.partial").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_reported_and_no_file_is_left(site, tmp_path):
    site.files["/x.pth"] = CONTENT
    (tmp_path / ".x.pth.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: .*x\.pth"):
        downloads.fetch(f"{site.address}/x.pth", tmp_path / "x.pth")
    assert not (tmp_path / "x.pth").exists()
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "source", ["s3://bucket/x", "http:///x", "http://[::1/x", "http://127.0.0.1:port/x", "http://127.0.0.1/a b"]
)
def test_an_invalid_url_is_reported_at_once(tmp_path, source):
    with pytest.raises(UserError, match=f"^{re.escape(source)}: "):
        downloads.fetch(source, tmp_path / "x")


def test_a_path_works_instead_of_a_url(tmp_path):
    (tmp_path / "mine.pth").write_bytes(CONTENT)
    fetch(str(tmp_path / "mine.pth"), tmp_path / "out" / "x.pth", sha(CONTENT))
    assert (tmp_path / "out" / "x.pth").read_bytes() == CONTENT
    with pytest.raises(UserError, match=r"mine\.pth: its SHA-256 is"):
        fetch(str(tmp_path / "mine.pth"), tmp_path / "out" / "y.pth", 64 * "0")
    for gone in (str(tmp_path / "gone.pth"), (tmp_path / "gone.pth").as_uri()):
        with pytest.raises(UserError, match=r"gone\.pth: no such file"):
            downloads.fetch(gone, tmp_path / "out" / "y.pth")
    assert files_below(tmp_path / "out") == ["x.pth"]


# Lists of files


def checksums(path: Path, files: dict[str, bytes]) -> Path:
    path.write_text("".join(f"{sha(data)}  {name}\n" for name, data in files.items()))
    return path


FILES = {f"stimuli/edges/cat/cat{i}.png": CONTENT[i:] for i in range(20)} | {"other/readme": b"no"}


def test_a_list_downloads_exactly_the_files_of_the_requested_folders(site, tmp_path):
    site.files = {f"/base/{name}": data for name, data in FILES.items()}
    wanted = downloads.read_checksum_list(checksums(tmp_path / "list", FILES), {"stimuli/edges": "edges"})
    downloads.fetch_all(f"{site.address}/base", wanted, tmp_path / "out", pauses=())
    downloaded = {
        str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")
    }
    assert downloaded == {name.removeprefix("stimuli/"): data for name, data in FILES.items() if "edges" in name}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list", "out"]


def test_an_interrupted_list_downloads_only_the_missing_files(site, tmp_path):
    site.files = {f"/{name}": data for name, data in FILES.items()}
    bad = "/stimuli/edges/cat/cat13.png"
    right, site.files[bad] = site.files[bad], b"something else"
    wanted = downloads.read_checksum_list(checksums(tmp_path / "list", FILES), {})
    with pytest.raises(UserError, match=r"cat13\.png: its SHA-256"):
        downloads.fetch_all(site.address, wanted, tmp_path / "out", pauses=())
    assert not (tmp_path / "out").exists()
    completed = {path for path, _ in site.requests} - {bad}
    site.files[bad], site.requests = right, []
    downloads.fetch_all(site.address, wanted, tmp_path / "out", pauses=())
    assert len(list((tmp_path / "out").rglob("*.png"))) == 20
    assert not completed & {path for path, _ in site.requests}


def test_a_list_reuses_files_of_an_existing_folder_and_removes_the_rest(site, tmp_path):
    files = {"a b.csv": CONTENT, "c.csv": CONTENT[1:]}
    site.files = {"/a%20b.csv": CONTENT, "/c.csv": CONTENT[1:]}
    out, earlier = tmp_path / "out", tmp_path / ".out.partial"
    for folder, name, data in [(out, "c.csv", CONTENT[1:]), (out, "old.csv", b"old"), (earlier, "other.csv", b"no")]:
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    downloads.fetch_all(
        site.address, downloads.read_checksum_list(checksums(tmp_path / "list", files), {}), out, pauses=()
    )
    assert site.requests == [("/a%20b.csv", None)]
    assert {name: (out / name).read_bytes() for name in files_below(out)} == files


@pytest.mark.parametrize(
    "line",
    [
        *(f"{64 * '0'}  {name}" for name in ("/etc/passwd", "../up.png", "a/../../up.png", "")),
        f"{64 * 'x'}  cat.png",
        "cat.png",
    ],
)
def test_a_malformed_list_or_one_with_paths_outside_the_folder_is_refused(tmp_path, line):
    (tmp_path / "list").write_text(f"{line}\n")
    with pytest.raises(UserError, match="list, line 1"):
        downloads.read_checksum_list(tmp_path / "list", {})


def test_two_files_with_one_target_are_refused(tmp_path):
    listed = checksums(tmp_path / "list", {"a/x.csv": b"1", "b/x.csv": b"2"})
    with pytest.raises(UserError, match=r"list, line 2: a/x\.csv would be x\.csv too"):
        downloads.read_checksum_list(listed, {"a": ".", "b": "."})


def test_a_list_without_files_of_the_requested_folders_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"lists no file below b$"):
        downloads.read_checksum_list(checksums(tmp_path / "list", {"a/x.csv": b"1"}), {"b": "."})


def test_the_published_stimuli_match_their_checksums(shared_data):
    resources = Path(__file__).parents[2] / "workflow" / "resources"
    folders = {
        "stimuli/style-transfer-preprocessed-512": "stimuli/cue-conflict",
        "stimuli/filled-silhouettes": "stimuli/silhouettes",
        "stimuli/edges": "stimuli/edges",
    }
    wanted = downloads.read_checksum_list(resources / "stimuli.sha256", folders)
    present = [item for item in wanted if (shared_data / item.target).is_file()]
    assert (len(wanted), len(present)) == (1600, 240 + 160 + 160)
    assert all(downloads.checksum(shared_data / item.target) == item.sha256 for item in present)
    folder = "raw-data/style-transfer-512-nomask-experiment"
    decisions = downloads.read_checksum_list(
        resources / "published" / "geirhos2019.sha256", {folder: "observers", f"{folder}-trained-CNNs": "observers"}
    )
    assert len(decisions) == 14
    assert all(downloads.checksum(shared_data / item.target) == item.sha256 for item in decisions)
