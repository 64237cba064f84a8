"""A tiny study with every stage, and the faults that hit it while it runs."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
from helpers import TINY_RESNET, image_folder
from workspaces import Workspace

SCRIPTS = ["scan", "pack", "encode_styles", "stylize", "checksums", "catalogue", "train", "evaluate", "tables"]
SCRIPTS += ["figures", "report"]
STAGES = ["start", *SCRIPTS]  # at the start, no script runs yet
SAME_BYTES = (".csv", ".tar", ".txt", ".sha256", ".parquet", ".safetensors", ".png")  # equal in each run of one commit
LONGEST_RUN = 900.0  # seconds, on a busy machine
LONGEST_END = 60.0  # seconds that Snakemake may take to end after Ctrl-C
LONGEST_JOB = 5.0  # seconds of a job, from which the moment of a fault is drawn


def tiny_study() -> dict[str, Any]:
    """Return a study of one network in two regimes; `in` has a worker process, `sin` trains in two processes."""
    return {
        "title": "Faults",
        "image_size": 32,
        "input_size": 32,
        "sources": {
            "in": {
                "kind": "imagefolder",
                "folder": "photographs",
                "per_class": {"train": 4, "val": 1, "test": 2},
                "shards": {"train": 2},
            }
        },
        "styles": {"paintings": {"kind": "synthetic", "count": 4, "size": 32}},
        "stylized": {
            "sin": {"content": "in", "styles": "paintings", "splits": ["train", "val"]},
            "conflict": {"content": "in", "styles": "in", "other_category": True, "splits": ["test"]},
        },
        "models": {"resnet": {"timm": "resnet10t", "kwargs": TINY_RESNET}},
        "regimes": {
            "in": {"train_on": ["in"], "training": {"workers": 1}},
            "sin": {"train_on": ["sin"], "init": "in", "training": {"ranks": 2}},
        },
        "training": {"epochs": 6, "batch_size": 4, "lr": 0.01, "patience": 0},
        "evaluation": {"batch_size": 4, "workers": 1},
        "benchmarks": {
            "conflict": {"kind": "cue_conflict", "images": "conflict", "read_out": True},
            "in_test": {"kind": "in_test", "images": "in"},
        },
        "figures": {"dpi": 50},
        "wandb": {"mode": "disabled"},
    }


class Study:
    """The tiny study in a folder of its own. Its command is always the same."""

    def __init__(self, folder: Path) -> None:
        self.place, self.folder = Workspace(folder), folder
        self.place.forks = False  # faults hit processes
        self.log = folder.with_suffix(".log")  # not on the study's disk, which may be full
        self.process: subprocess.Popen[bytes] | None = None
        self.sessions: set[int] = set()
        self.was_hit = False  # whether a fault hit since the start, from which Snakemake may still be ending

    def make_photographs(self) -> None:
        image_folder(self.folder / "photographs", {"cat": 7, "dog": 7, "bear": 7}, size=32)

    def start(self, *targets: str) -> None:
        self.process = self.place.start(*targets, config=tiny_study(), log=f"../{self.log.name}")
        self.was_hit = False
        self.sessions.add(self.process.pid)

    def run(self, *targets: str) -> subprocess.CompletedProcess[str]:
        return self.place.snakemake(*targets, config=tiny_study())

    def snakemake(self) -> psutil.Process:
        assert self.process
        return psutil.Process(self.process.pid)

    def results(self) -> dict[str, bytes]:
        """Return path → bytes of all results under their final names."""
        root = self.folder / "results"
        paths = [path for path in root.rglob("*") if path.suffix in SAME_BYTES and not path.name.startswith(".")]
        names = {path.relative_to(root).as_posix(): path for path in paths}
        return {name: path.read_bytes() for name, path in names.items() if not name.startswith("checkpoints/")}

    def scripts(self, stages: Iterable[str]) -> dict[str, list[psutil.Process]]:
        """Return stage → processes of its script that run now; those of an earlier Snakemake do not count."""
        running: dict[str, list[psutil.Process]] = {}
        for child in self.snakemake().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = child.cmdline()
                for stage in stages:
                    if any(word.endswith(f"/scripts/{stage}.py") for word in words):
                        running.setdefault(stage, []).append(child)
        return running

    def reach(self, stages: list[str]) -> str | None:
        """Wait until the script of one of the stages runs, and return it; None if Snakemake ends before."""
        assert self.process
        if "start" in stages:
            return "start"
        deadline = time.monotonic() + LONGEST_RUN
        while self.process.poll() is None:
            with contextlib.suppress(psutil.Error):
                if running := self.scripts(stages):
                    return next(iter(running))
            assert time.monotonic() < deadline, f"{stages} were not reached:\n{self.log.read_text()}"
            time.sleep(0.05)
        return None

    def wait_for(self, text: str, log: Path) -> None:
        """Wait until a job's log holds a text."""
        deadline = time.monotonic() + LONGEST_RUN
        while not (log.exists() and text in log.read_text()):
            assert time.monotonic() < deadline and not self.has_ended(), self.log.read_text()
            time.sleep(0.02)

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def end(self, limit: float = LONGEST_RUN) -> tuple[int, str]:
        """Wait for the end of Snakemake; return its exit status and its output."""
        assert self.process
        return self.process.wait(limit), self.log.read_text()

    def kill_all(self) -> None:
        """Kill every process that this study has started, also those that a killed Snakemake left."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getsid(process.pid) in self.sessions:
                    process.kill()


# Faults. Each hits a running study, and is gone afterwards.


def kill_a_process(study: Study, stage: str, draw: random.Random) -> None:
    """Kill Snakemake, which leaves its jobs running, or a script, or one of a script's processes."""
    with contextlib.suppress(psutil.Error):  # it has just ended
        snakemake, scripts = study.snakemake(), study.scripts([stage]).get(stage, [])
        workers = [child for script in scripts for child in script.children(recursive=True)]
        kinds = [[snakemake], scripts or [snakemake], workers or scripts or [snakemake]]
        draw.choice(draw.choice(kinds)).kill()


def press_ctrl_c(study: Study, stage: str, draw: random.Random) -> None:
    """Send SIGINT to all processes, as a terminal does."""
    assert study.process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(study.process.pid, signal.SIGINT)
    _, output = study.end(LONGEST_END)
    if stage != "start":  # Snakemake does not catch Ctrl-C during its imports
        assert "Traceback" not in output, output


def fill_the_disk(study: Study, stage: str, draw: random.Random) -> None:
    filler = study.folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    status, output = study.end()
    filler.unlink()
    assert "Traceback" not in output, output
    if status and not study.was_hit:  # unless everything was written before
        assert "No space left on device" in output, output


def make_results_read_only(study: Study, stage: str, draw: random.Random) -> None:
    (study.folder / "results").mkdir(exist_ok=True)  # at the start there may be none
    results = str(study.folder / "results")
    subprocess.run(["mount", "--bind", results, results], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", results], check=True)
        status, output = study.end()
    finally:
        subprocess.run(["umount", "--lazy", results], check=True)
    assert "Traceback" not in output, output
    if status and not study.was_hit:
        assert "Read-only file system" in output, output


def move_the_clock(study: Study, stage: str, draw: random.Random) -> None:
    """Stop the study, and date everything made so far as if the clock had jumped since, by three hours.

    Results from the future are refused with the command that mends their dates.
    """
    press_ctrl_c(study, stage, draw)
    jump, paths = draw.choice([-3, 3]) * 3600, list(study.folder.rglob("*"))
    for path in paths:
        moved = path.lstat().st_mtime + jump
        os.utime(path, (moved, moved), follow_symlinks=False)
    if jump > 0:
        study.start()
        status, output = study.end()
        assert "Traceback" not in output, output
        assert status == 0 or "Give it the time of now: touch " in output, output
        for path in study.folder.rglob("*"):
            path.touch()


def start_a_second_workflow(study: Study, stage: str, draw: random.Random) -> None:
    second = study.run()
    if not study.has_ended():
        assert second.returncode == 1 and "Traceback" not in second.stdout, second.stdout
        assert "Directory cannot be locked" in second.stdout, second.stdout
    press_ctrl_c(study, stage, draw)


KILL = "kill -9"
FAULTS: dict[str, Callable[[Study, str, random.Random], None]] = {
    KILL: kill_a_process,
    "Ctrl-C": press_ctrl_c,
    "full disk": fill_the_disk,
    "read-only results": make_results_read_only,
    "moved clock": move_the_clock,
    "second workflow": start_a_second_workflow,
}  # and in other tests: SIGTERM to one rank, damaged files, a kill at the moment of the lock


def disturb(study: Study, faults: list[str], expected: dict[str, bytes], draw: random.Random) -> Counter[str]:
    """Run a study, let each fault hit a stage of its own at a random moment, and run the same command to the end.

    Check after each fault that no file is half-written, and at the end that all results are the expected ones. If the
    study ends before all faults have hit, its results are removed, and the others hit its repetition. Return the number
    of faults by kind.
    """
    stages, faults, survived = draw.sample(STAGES, len(faults)), draw.sample(faults, len(faults)), Counter[str]()
    while faults:
        if study.has_ended():
            study.start()
        stage = study.reach(stages)
        if stage is None:
            status, output = study.end()
            assert status == 0 or study.was_hit, output
            if status == 0:
                shutil.rmtree(study.folder / "results")
                stages = draw.sample(STAGES, len(faults))
            continue
        time.sleep(draw.uniform(0, LONGEST_JOB))
        if study.has_ended():  # so the fault would hit nothing
            continue
        stages.remove(stage)
        name = faults.pop()
        FAULTS[name](study, stage, draw)
        study.was_hit = True
        half_written = different_files(study, expected)
        assert not half_written, f"after {name} at {stage}: {half_written}"
        survived[name] += 1
    study.end()
    done = study.run()
    assert done.returncode == 0, done.stdout
    assert not different_files(study, expected) and study.results().keys() == expected.keys()
    return survived


def different_files(study: Study, expected: dict[str, bytes]) -> list[str]:
    return sorted(name for name, data in study.results().items() if data != expected.get(name))
