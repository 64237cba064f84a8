"""The process that a `shapebias.tracking.client.Tracker` starts: it reads messages and gives them to W&B.

stdin: one JSON list a line, its kind first: begin, then row and files, then finish. stdout: one JSON list a line:
["folder", path], ["warning", text], and ["done", ""] when all has arrived.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

UNWRITTEN = re.compile(r'"level":"ERROR","msg":"writer: ([^"]*)')

Say = Callable[[str, str], None]


def main() -> None:
    # SLURM signals every process of a job; the job's own tells this one when to end, or ends itself.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever W&B prints is no message

    def say(kind: str, text: str) -> None:
        with contextlib.suppress(OSError):  # the job was killed
            print(json.dumps([kind, text]), file=out, flush=True)

    try:
        track(map(json.loads, sys.stdin), say)
    except Exception as error:
        say("warning", f"{type(error).__name__}: {error}")
    else:
        say("done", "")


def track(messages: Iterator[list], say: Say) -> None:
    """Make the run of one stream of messages; a stream that ends without `finish` is a job that was killed."""
    _, settings = next(messages)
    rows = until_finish(messages)
    if settings["mode"] == "offline":
        rows = list(rows)
    run = start(settings, say)
    complete = False
    for kind, *content in rows:
        if kind == "row":
            row, step = content
            if step >= run.starting_step:  # the server has those before
                run.log(row, step=step)
        elif kind == "files":
            run.log(media(*content))
        else:
            summary, complete = content
            run.summary.update(summary)
    run.finish(exit_code=0 if complete else 1)
    folder = Path(run.dir).absolute().parent
    if unwritten := unwritten_because(folder):
        raise OSError(unwritten)
    if run.offline:
        remove_older(folder, run.id)


def until_finish(messages: Iterable[list]) -> Iterator[list]:
    """Messages up to the last one: a forked process of the job may hold the pipe open after it."""
    for message in messages:
        yield message
        if message[0] == "finish":
            return


def start(settings: dict[str, Any], say: Say) -> Any:
    """A W&B run, of which nothing but what the job sends is recorded."""
    import wandb  # only now: an offline run that goes on for days needs none of it

    folder = Path(settings["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    probes_off = wandb.Settings(
        console="off",
        silent=True,
        symlink=False,  # `latest-run`: several jobs write here at once
        host="",
        disable_git=True,
        disable_code=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        init_timeout=settings["timeout"],
        finish_timeout=settings["timeout"],
        finish_timeout_raises=True,
        stop_fn=lambda: None,  # the button on the web page; else W&B interrupts
    )

    def init(mode: Literal["online", "offline"], resume: Literal["allow"] | None) -> Any:
        run = wandb.init(dir=folder, mode=mode, resume=resume, settings=probes_off, **settings["run"])
        if folder not in Path(run.dir).absolute().parents:  # W&B's silent way out of an unwritable folder
            raise PermissionError(f"{folder} cannot be written to")
        say("folder", str(Path(run.dir).absolute().parent))
        return run

    if settings["mode"] == "offline":
        return init("offline", None)
    try:
        return init("online", "allow")
    except wandb.errors.Error as error:
        say("warning", f"{error}; the run is written offline")
        wandb.teardown()  # its server holds the run's id
        return init("offline", None)


def media(tables: dict[str, str], figures: dict[str, str]) -> dict[str, Any]:
    """W&B's objects for CSV and image files, each sort in a section of its own on the web page."""
    import pandas as pd
    import wandb

    shown: dict[str, Any] = {f"tables/{name}": wandb.Table(dataframe=pd.read_csv(p)) for name, p in tables.items()}
    return shown | {f"figures/{name}": wandb.Image(path) for name, path in figures.items()}


def unwritten_because(folder: Path) -> str:
    """Why W&B's server could not write a run, such as a full disk, which it tells nobody but its log; or nothing."""
    match = UNWRITTEN.search((folder / "logs" / "debug-internal.log").read_text(encoding="utf-8"))
    return match[1] if match else ""


def remove_older(folder: Path, run_id: str) -> None:
    """Remove what earlier starts of a run wrote offline: the newest folder has their rows, too."""
    for other in folder.parent.glob(f"offline-run-????????_??????-{run_id}"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


if __name__ == "__main__":
    main()
