"""Weights & Biases: the received data and the effect of failures, with the real package and a test server."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import ENV
from wandb_server import KEY, Run, Server, wandb_server

from shapebias.tracking.client import Tracker, TrackingSettings

RUN = "0123abcd"
ABOUT: dict[str, Any] = {
    "run_id": RUN,
    "name": "resnet/in/seed0",
    "group": "resnet",
    "job_type": "train",
    "tags": ["in", "seed0"],
}
# A process like a training: log all rows from the first to `rows`, then finish, or wait to be killed.
TRAIN = f"""
import sys, time
from pathlib import Path
from shapebias.tracking.client import TrackingSettings, Tracker
rows, then = int(sys.argv[1]), sys.argv[2]
tracker = Tracker(TrackingSettings(), **{ABOUT}, config={{"lr": 0.1}})
for epoch in range(1, rows + 1):
    tracker.log({{"epoch": epoch, "loss": 1 / epoch}}, step=epoch)
if then == "wait":
    time.sleep(1)
    print("ready", flush=True)
    time.sleep(60)
tracker.finish({{"best_epoch": rows}})
assert "wandb" not in sys.modules
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Iterator[Path]:
    """Return an empty working folder, without W&B settings in the environment."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "work"
    wait_until(lambda: processes(tmp_path / "work") == [])


@pytest.fixture
def server() -> Iterator[Server]:
    with wandb_server() as running:
        yield running


def train(place: Path, rows: int, then: str = "finish") -> subprocess.Popen[str]:
    environment = ENV | {"HOME": os.environ["HOME"]}
    del environment["WANDB_MODE"]
    command = [sys.executable, "-c", TRAIN, str(rows), then]
    return subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, text=True)


def train_and_kill(place: Path, rows: int, *, with_all_its_processes: bool = False) -> None:
    """Log some rows, then kill the process."""
    with train(place, rows, "wait") as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        process.kill()
        if with_all_its_processes:  # as SLURM does
            for number in processes(place):
                os.kill(number, signal.SIGKILL)
    wait_until(lambda: processes(place) == [])


def train_to_end(place: Path, rows: int) -> None:
    with train(place, rows) as process:
        assert process.wait(60) == 0


def sync(place: Path, server: Server) -> Run:
    """Return what the server receives from `wandb sync`."""
    environment = os.environ | {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY}
    command = [Path(sys.executable).with_name("wandb"), "sync", "wandb"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return server.runs[RUN]


def processes(place: Path) -> list[int]:
    """Return the processes that trackers in a folder have started, including W&B's server."""
    mark, pids = f"WANDB_DATA_DIR={place}/".encode(), []
    for folder in Path("/proc").iterdir():
        try:
            if mark in (folder / "environ").read_bytes():
                pids.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return pids


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def offline_folders(place: Path) -> list[Path]:
    return list((place / "wandb").glob("offline-run-*"))


def rows(last: int) -> list[dict[str, float]]:
    return [{"_step": epoch, "epoch": epoch, "loss": 1 / epoch} for epoch in range(1, last + 1)]


# Received data


def test_an_offline_run_is_complete_after_wandb_sync(place, server):
    train_to_end(place, 5)
    run = sync(place, server)
    assert run.history == rows(5)
    assert run.config == {"lr": 0.1}
    assert run.summary["best_epoch"] == 5
    assert (run.about["project"], run.about["groupName"], run.about["jobType"]) == ("shapebias", "resnet", "train")
    assert (run.about["displayName"], run.about["tags"]) == ("resnet/in/seed0", ["in", "seed0"])
    assert run.exit_code == 0


def test_a_killed_run_is_still_written_and_counts_as_failed(place, server):
    train_and_kill(place, 3)
    run = sync(place, server)
    assert run.history == rows(3)
    assert run.exit_code == 1


@pytest.mark.parametrize("with_all_its_processes", [False, True])
def test_a_killed_and_resumed_run_is_one_run_with_each_row_once(place, server, with_all_its_processes):
    train_and_kill(place, 3, with_all_its_processes=with_all_its_processes)
    train_to_end(place, 5)
    assert len(offline_folders(place)) == 1
    run = sync(place, server)
    assert list(server.runs) == [RUN]
    assert len(run.lines) == 5
    assert run.history == rows(5)
    assert run.exit_code == 0


def test_a_run_that_was_synced_before_it_resumed_has_each_row_once(place, server):
    train_and_kill(place, 3)
    assert sync(place, server).history == rows(3)
    train_to_end(place, 5)
    assert sync(place, server).history == rows(5)


def test_an_online_run_resumes_where_its_history_on_the_server_ends(place, server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    (place / ".env").write_text(f'# the key\nexport WANDB_API_KEY="{KEY}"\n')
    for last in (3, 5):
        tracker = Tracker(TrackingSettings("online", "study"), **ABOUT, config={"lr": 0.1, "part": last})
        for row in rows(last):
            tracker.log({key: row[key] for key in ("epoch", "loss")}, step=int(row["_step"]))
        tracker.finish({"best_epoch": last}, complete=last == 5)
        assert tracker.warning is None
        run = server.runs[RUN]
        assert run.history == rows(last)
        assert len(run.lines) == last
        assert run.exit_code == (0 if last == 5 else 1)
    assert run.about["project"] == "study"
    assert run.config == {"lr": 0.1, "part": 5}
    # The server received the key, but only from the environment.
    assert server.keys == {"Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()}
    (place / ".env").unlink()
    written = [path for path in place.parent.rglob("*") if path.is_file()]
    assert written and not [path for path in written if KEY.encode() in path.read_bytes()]


def test_rows_of_numpy_and_not_a_number_arrive(place, server):
    tracker = Tracker(TrackingSettings(), **ABOUT, config={"folder": Path("images"), "crop": (0.1, 1.0)})
    tracker.log({"loss": np.float32(0.5), "bias": float("nan")}, step=1)
    tracker.finish({})
    run = sync(place, server)
    assert run.history[0]["loss"] == 0.5
    assert str(run.history[0]["bias"]) in ("nan", "NaN")
    assert run.config == {"folder": "images", "crop": [0.1, 1.0]}


# Failures


def test_a_signal_to_all_processes_stops_the_job_and_tracking_still_finishes(place):
    with train(place, 2, "wait") as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for number in processes(place):  # as SLURM does; the tracking process still has data to write
            os.kill(number, signal.SIGTERM)
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM
    wait_until(lambda: processes(place) == [])
    assert len(list(place.glob("wandb/offline-run-*/*.wandb"))) == 1


@pytest.mark.parametrize("failure", ["a file in the way", "a broken package", "a missing key"])
def test_a_failure_is_one_warning(place, caplog, monkeypatch, failure):
    settings = TrackingSettings()
    if failure == "a file in the way":
        (place / "wandb").write_text("")
        reason = "Not a directory"
    elif failure == "a broken package":
        (place / "wandb.py").write_text("raise ImportError('no package')")
        monkeypatch.setattr(
            "shapebias.tracking.client.LIBRARY_FOLDER", f"{place}{os.pathsep}{Path(__file__).parents[2] / 'src'}"
        )
        reason = "ImportError: no package"
    else:
        settings, reason = TrackingSettings("online"), "WANDB_API_KEY is neither in the environment nor in .env"
    tracker = Tracker(settings, **ABOUT, config={})
    tracker.log({"loss": 1.0}, step=1)
    tracker.finish({})
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("W&B: ") and reason in message and "\n" not in message
    assert (len(offline_folders(place)) == 1) == (failure == "a missing key")


def test_a_full_disk_is_one_warning(place, caplog, monkeypatch):
    limited = "import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); "
    monkeypatch.setattr(
        "shapebias.tracking.client.COMMAND",
        [sys.executable, "-c", limited + "runpy.run_module('shapebias.tracking.process', run_name='__main__')"],
    )
    tracker = Tracker(TrackingSettings(), **ABOUT, config={})
    for step in range(1, 1001):
        tracker.log({"loss": 1.0}, step=step)
    tracker.finish({})
    (message,) = [record.getMessage() for record in caplog.records]
    assert "file too large" in message.lower()
    assert not tracker.arrived


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Return the URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_server_that_never_answers_costs_a_bounded_time_and_the_run_is_written_offline(
    place, server, silent_server, caplog, monkeypatch
):
    monkeypatch.setenv("WANDB_BASE_URL", silent_server)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    tracker = Tracker(TrackingSettings("online", wait=15), **ABOUT, config={})
    started = time.monotonic()
    for step in range(1, 5001):  # more than the pipe to the tracking process holds
        tracker.log({"loss": 1.0}, step=step)
    assert time.monotonic() - started < 1
    tracker.finish({})
    assert time.monotonic() - started < 17
    (message,) = [record.getMessage() for record in caplog.records]
    assert "written offline" in message
    assert len(sync(place, server).lines) == 5000


def test_finish_stops_after_its_time_limit_and_no_process_remains(place, silent_server, caplog, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", silent_server)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    tracker = Tracker(TrackingSettings("online"), **ABOUT, config={})
    wait_until(lambda: len(processes(place)) == 2)  # W&B's server waits for an answer
    started = time.monotonic()
    tracker.finish({}, wait=0.5)
    assert time.monotonic() - started < 1
    (message,) = [record.getMessage() for record in caplog.records]
    assert "did not end within 0.5 s" in message
    wait_until(lambda: processes(place) == [], 10)


def test_the_environment_wins_over_a_dotenv_file(place, server, monkeypatch):
    (place / ".env").write_text(f"WANDB_API_KEY={KEY}\nWANDB_BASE_URL=http://127.0.0.1:9\n")
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    tracker = Tracker(TrackingSettings("online"), **ABOUT, config={})
    tracker.finish({})
    assert (tracker.warning, list(server.runs)) == (None, [RUN])
