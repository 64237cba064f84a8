"""Helpers of several tests: tiny inputs, and the scripts in this process or in another one."""

import contextlib
import functools
import importlib
import io
import logging
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import matplotlib as mpl
import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image
from torch import nn

from shapebias import cli
from shapebias.images.codec import encode
from shapebias.images.shards import label, write_shard

ROOT = Path(__file__).resolve().parents[1]


# Images


def picture(seed: int = 0, size: tuple[int, int] = (24, 24)) -> Image.Image:
    """Return coloured noise, width × height, that depends on the seed."""
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def image_folder(root: Path, classes: dict[str, int], *, suffix: str = ".png", size: int = 24) -> Path:
    """Write `<class>/<number>` with a number of images per class, all different."""
    for k, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            picture(1000 * k + i, (size, size)).save(root / name / f"{i}{suffix}")
    return root


def conflict_folder(root: Path) -> Path:
    """Write stimuli of 32 px: three cats with the texture of a dog and three dogs with that of a cat."""
    for i in range(6):
        shape, texture = ("cat", "dog") if i % 2 else ("dog", "cat")
        (root / shape).mkdir(parents=True, exist_ok=True)
        picture(i, (32, 32)).save(root / shape / f"{shape}{i}-{texture}{i}.png")
    return root


def bad_images() -> dict[str, bytes]:
    """Return file name → bytes of files that are no images; the name says why."""
    jpeg = encode(picture(size=(64, 64)), "jpeg")[1]
    return {"truncated.jpg": jpeg[: len(jpeg) // 2], "empty.jpg": b"", "text.jpg": b"This is not a photograph.\n"}


# Shards


def colour_sample(sample_id: str, class_name: str, colour: tuple[int, int, int], size: int = 32) -> tuple:
    """Return an easy training sample for `write_shard`: one colour and a little noise."""
    noise = np.random.default_rng(len(sample_id) + sum(map(ord, sample_id))).integers(-20, 21, (size, size, 3))
    image = Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8))
    sample_label = label(
        sample_id, class_name=class_name, shape=class_name, texture=class_name, content=f"{sample_id}.png"
    )
    return sample_label, *encode(image, "png")


COLOURS = {"cat": (200, 40, 40), "dog": (40, 40, 200)}


def colour_shard(target: Path, each: int, *, size: int = 32, colours: dict[str, tuple] = COLOURS) -> Path:
    """Write a shard of red cats and blue dogs, `each` of both."""
    write_shard(target, [colour_sample(f"{c}-{i}", c, colours[c], size) for i in range(each) for c in colours])
    return target


# Networks

TINY_RESNET: dict[str, Any] = {"channels": [8, 8, 8, 8], "stem_width": 8}


def tiny_resnet(classes: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return timm.create_model("resnet10t", num_classes=classes, **TINY_RESNET)


def same_weights(first: nn.Module, second: nn.Module, part: str = "") -> bool:
    """Return whether two networks, or one part of both, have the same values in the same order."""
    states = (network.get_submodule(part).state_dict() for network in (first, second))
    pairs = zip(*(state.values() for state in states), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# Decisions


def trials(*rows: tuple, observer: str = "somebody") -> pd.DataFrame:
    """Return a table of decisions from rows (shape, texture, decision); images are numbered."""
    table = pd.DataFrame(rows, columns=["shape", "texture", "decision"])
    table.insert(0, "image", [f"image{i}" for i in range(len(table))])
    table.insert(0, "observer", observer)
    return table


# Scripts

# Use Python's cache of compiled modules even if the environment turns it off. Importing torch and timm takes twelve
# seconds without it and four with it, in each of these processes.
ENV = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
ENV["WANDB_MODE"] = "disabled"  # unless a test changes it
ENV["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "shapebias-tests-bytecode")


SCRIPTS = ROOT / "scripts"
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)  # scripts install handlers for these


@functools.cache
def script(name: str) -> ModuleType:
    """Return the module with the code of `scripts/<name>.py`."""
    return importlib.import_module(f"shapebias.commands.{name}")


def run_script(name: str, *args: object, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `scripts/<name>.py` in this process, which imports torch and timm only once.

    Command line, environment, working folder, messages and exit status are those of a process. Use `run_process` in
    tests of signals, ranks and limits, and of equal results under another hash seed.
    """
    command = [str(SCRIPTS / f"{name}.py"), *map(str, args)]
    main, out, err = script(name).main, io.StringIO(), io.StringIO()
    with isolated(command, folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = exit_status(lambda: cli.run(main))
    return subprocess.CompletedProcess(command, status, out.getvalue(), err.getvalue())


def run_process(
    name: str, *args: object, timeout: float = 120, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `scripts/<name>.py` as a user would, without Snakemake."""
    command = [sys.executable, SCRIPTS / f"{name}.py", *args]
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=timeout, cwd=folder, env=ENV, check=False
    )


def start_script(name: str, *args: object, log: Path, env: Mapping[str, str] = ENV) -> BaseProcess:
    """Start `scripts/<name>.py` in a fork of this process, which is the first of its own process group.

    The fork has its own signals, exit status, locks and rank, but torch and timm are imported already. `log` gets all
    its output. Tests of the start of a process, and of equal results under another hash seed, use `run_process`.
    """
    command = [str(SCRIPTS / f"{name}.py"), *map(str, args)]
    script(name)  # so that no fork imports it again
    with log.open("wb") as file:
        outputs = (file.fileno(), file.fileno())
        process = multiprocessing.get_context("fork").Process(
            target=lambda: sys.exit(be_script(name, command, outputs, env, ROOT))
        )
        process.start()
    return process


def be_script(name: str, command: list[str], outputs: Sequence[int], env: Mapping[str, str], folder: str | Path) -> int:
    """Run a script in this process, a fork, with its command line, environment, folder, signals and output.

    outputs: file descriptors of stdout and stderr. Return its exit status.
    """
    os.setsid()
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    sys.argv, tempfile.tempdir = command, None
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    for number, output in zip((1, 2), outputs, strict=True):
        os.dup2(output, number)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(n, "wb", 0), write_through=True) for n in (1, 2))
    logging.getLogger().handlers.clear()
    return exit_status(lambda: cli.run(script(name).main))


def run_ranks(count: int, name: str, *args: object, logs: Path, env: Mapping[str, str] = ENV) -> str:
    """Run a script in forks of this process, one per rank, with the variables that torchrun sets; return all output."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    meeting |= {"LOCAL_WORLD_SIZE": str(count)}
    files = [logs / f"rank{rank}.log" for rank in range(count)]
    processes: list[BaseProcess] = []
    try:
        for rank, file in enumerate(files):
            rank_env = {**env, **meeting, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            processes.append(start_script(name, *args, log=file, env=rank_env))
        codes = [exit_code(process, 180) for process in processes]
    finally:
        for process in processes:
            process.kill()
    output = "".join(file.read_text() for file in files)
    assert codes == [0] * count, output
    return output


def wait_for_log(text: str, log: Path, process: BaseProcess) -> None:
    """Wait until a running process has written a text."""
    deadline = time.monotonic() + 120
    while not log.exists() or text not in log.read_text():
        assert process.is_alive() and time.monotonic() < deadline, log.exists() and log.read_text()
        time.sleep(0.02)


def pid_of(process: BaseProcess) -> int:
    """Return the number of a started process."""
    assert process.pid is not None
    return process.pid


def exit_code(process: BaseProcess, timeout: float = 60) -> int | None:
    """Wait for the end of a process and return its exit status, or None if it does not end in time."""
    process.join(timeout)
    return process.exitcode


@contextlib.contextmanager
def isolated(command: list[str], folder: Path) -> Generator[None]:
    """Give a script the environment of a new process, and restore that of this process afterwards."""
    root = logging.getLogger()
    level, threads, handlers = root.level, torch.get_num_threads(), {n: signal.getsignal(n) for n in SIGNALS}
    python_random, numpy_random = random.getstate(), np.random.get_state()
    try:
        with (
            mock.patch.dict(os.environ, ENV, clear=True),
            mock.patch.object(sys, "argv", command),
            mock.patch.object(sys, "path", [*sys.path]),
            mock.patch.object(tempfile, "tempdir", None),
            mock.patch.object(root, "handlers", []),
            contextlib.chdir(folder),
            mpl.rc_context(),
            torch.random.fork_rng(devices=[]),
        ):
            root.setLevel(logging.WARNING)
            yield
    finally:
        root.setLevel(level)
        torch.set_num_threads(threads)
        random.setstate(python_random)
        np.random.set_state(numpy_random)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def exit_status(main: Callable[[], object]) -> int:
    """Return the exit status of a process that calls `main`; write the messages of its end to stderr."""
    try:
        main()
    except SystemExit as left:
        if left.code is None or isinstance(left.code, int):
            return left.code or 0
        print(left.code, file=sys.stderr)
        return 1
    except Exception:
        traceback.print_exc()
        return 1
    return 0


def succeeded(done: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    assert done.returncode == 0, done.stderr
    return done


def refused(done: subprocess.CompletedProcess, *named: str) -> None:
    """Check that a script failed without a traceback, with one line that names the mistake."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert len(lines) == 1 and done.stderr.rstrip().endswith(lines[0]), done.stderr
    for text in named:
        assert text in lines[0]


def files_below(folder: Path) -> list[str]:
    """Return every file below a folder, including hidden ones."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def stand_in(folder: Path, name: str, script: str) -> None:
    """Write a stand-in for a Slurm command, which simulates states of a cluster in a unit test."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
