"""Nodes without internet: one target downloads everything, and no later job opens a connection.

The workflow runs in a network namespace with no route except to itself. The kernel counts each attempt to reach another
machine, including queries to name servers.
"""

import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from helpers import TINY_RESNET, tiny_resnet
from safetensors.torch import save

# Starts the loopback interface, runs a command, and writes the counters of the kernel as lines: header, values, …
INSIDE = """
import fcntl, pathlib, socket, struct, subprocess, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
done = subprocess.run(sys.argv[2:], timeout=300)
counted = "".join(pathlib.Path("/proc/net", name).read_text() for name in ("snmp", "snmp6"))
pathlib.Path(sys.argv[1]).write_text(counted)
sys.exit(done.returncode)
"""


@pytest.fixture(scope="module")
def unshare() -> list[str]:
    """The command prefix that runs a command without a network."""
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    assert not os.environ.get("CI"), "CI runs as root, but unshare makes no network namespace"
    pytest.skip("unshare makes no network namespace here (not Linux, or not permitted)")


@pytest.fixture
def air_gapped(unshare, monkeypatch) -> Callable[..., tuple[int, str, int]]:
    """A function that runs a command without a network and returns exit status, output and connection attempts."""
    # Snakemake's plugin calls scontrol if it is installed, which queries a name server if it has no config file.
    monkeypatch.setenv("SLURM_CONF", os.devnull)

    def run(place, command: list[str]) -> tuple[int, str, int]:
        counters = place.folder / "counters"
        inside = [*unshare, sys.executable, "-c", INSIDE, str(counters), *command]
        done = subprocess.run(inside, cwd=place.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout, tries(counters.read_text())

    return run


def tries(counted: str) -> int:
    """Count connection attempts: packets without a route, and all UDP packets (queries to name servers)."""
    rows = [line.split() for line in counted.splitlines()]
    values = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}  # IPv6: a name and a number
    for names, numbers in itertools.pairwise(rows):  # IPv4: a line of names, a line of numbers
        if names[0] == numbers[0] and names[1].isalpha():
            values |= {names[0] + name: int(number) for name, number in zip(names[1:], numbers[1:], strict=True)}
    return sum(values[key] for key in ("Ip:OutNoRoutes", "Ip6OutNoRoutes", "Udp:OutDatagrams", "Udp6OutDatagrams"))


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[dict[str, bytes]]:
    """path → file of a server that also answers like the Hugging Face hub. The caches are empty at first."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            data = files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", 40 * "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(files.get(self.path, b""))

        def log_message(self, format, *args) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    for name in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield files
    server.shutdown()
    server.server_close()


@pytest.fixture
def study(demo_config) -> dict:
    """A small study in which all networks start from published weights."""
    config = demo_config()
    config["sources"] = {"in": {"kind": "synthetic", "per_class": {"train": 2, "val": 1, "test": 1}}}
    config["styles"] = {}
    config["stylized"] = {"conflict": config["stylized"]["conflict"]}
    config["models"] = {"resnet": {"timm": "resnet10t", "kwargs": TINY_RESNET}}
    config["regimes"] = {
        "in": {"train_on": ["in"], "init": "pretrained", "training": {"epochs": 1, "warmup_epochs": 0}}
    }
    config["benchmarks"] = {"conflict": {"kind": "cue_conflict", "images": "conflict"}}
    return config


def test_after_the_downloads_nothing_opens_a_connection(workspace, study, hub, air_gapped):
    place = workspace()
    place.forks = False  # the import of the Hugging Face hub reads where it is
    published, fetched = (save(tiny_resnet(1000, seed).state_dict()) for seed in (0, 1))
    hub["/timm/resnet10t.c3_in1k/resolve/main/model.safetensors"] = published
    hub["/mine.safetensors"] = fetched
    mine = {"timm": "resnet10t", "kwargs": TINY_RESNET, "weights": f"{os.environ['HF_ENDPOINT']}/mine.safetensors"}
    study["observers"] = {
        "mine": mine | {"weights_sha256": hashlib.sha256(fetched).hexdigest()},
        "torchvision": {"timm": "torchvision/squeezenet1_1"},
    }
    # torchvision's server has no stand-in, so its file is put into the cache of the login node.
    cache = Path(os.environ["TORCH_HOME"], "hub", "checkpoints")
    cache.mkdir(parents=True)
    url = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.url
    torch.save(torchvision.models.squeezenet1_1().state_dict(), cache / url.rpartition("/")[2])

    done = place.snakemake("downloads", config=study)
    assert done.returncode == 0, done.stdout
    downloads = place.folder / "results" / "downloads"
    names = sorted(path.relative_to(downloads).as_posix() for path in downloads.rglob("*.safetensors"))
    assert [name.partition("-")[0] for name in names] == [
        "networks/mine.safetensors",
        "pretrained/resnet10t",
        "pretrained/torchvision/squeezenet1_1.safetensors",
    ]
    for name in ("TORCH_HOME", "HF_HOME"):  # compute nodes may not see the caches
        shutil.rmtree(os.environ[name])
    hub.clear()

    status, told, tried = air_gapped(place, place.command(["all"], study, "local"))
    assert status == 0, told
    assert tried == 0, told
    assert "download" not in told.partition("Job stats:")[2].partition("total")[0]
    predictions = {path.stem for path in (place.folder / "results/predictions/conflict").glob("*.csv")}
    assert predictions == {"resnet_in_seed0", "mine", "torchvision"}
    assert (place.folder / "results/report.html").is_file()
    runs = (place.folder / "results/tables/runs.csv").read_text()
    assert "resnet_in_seed0" in runs and "pretrained" in runs


def test_without_the_downloads_the_job_names_at_once_the_target_to_make_on_a_login_node(
    workspace, study, air_gapped, monkeypatch, tmp_path
):
    for name in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    study["observers"] = {
        "file": {"timm": "resnet10t", "weights": "https://example.org/net.pth", "weights_sha256": "0" * 8}
    }
    place = workspace()
    begun = time.monotonic()
    status, told, tried = air_gapped(place, place.command(["downloads"], study, "local"))
    assert status == 1
    assert (
        "network 'resnet10t': its pretrained weights could not be downloaded, https://huggingface.co cannot be" in told
    )
    assert "https://example.org/net.pth: " in told
    assert told.count("the workflow's target `downloads`, on a login node") == 2
    assert "Traceback" not in told
    assert tried > 0  # so the counters work
    assert time.monotonic() - begun < 40
