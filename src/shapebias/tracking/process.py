"""The process that `shapebias.tracking.client.Tracker` starts: it reads messages and passes them to W&B.

stdin: one JSON list per line, its first item the kind: begin, then row and files, then finish. stdout: one JSON list
per line: ["folder", path], ["warning", text], and ["done", ""] when W&B has received everything.
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

WRITE_ERROR = re.compile(r'"level":"ERROR","msg":"writer: ([^"]*)')

Send = Callable[[str, str], None]


def main() -> None:
    # SLURM signals every process of a job. This process ends when the job sends `finish` or ends.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keep W&B's own output out of the messages

    def send(kind: str, text: str) -> None:
        with contextlib.suppress(OSError):  # the job was killed
            print(json.dumps([kind, text]), file=out, flush=True)

    try:
        track_run(map(json.loads, sys.stdin), send)
    except Exception as error:
        send("warning", f"{type(error).__name__}: {error}")
    else:
        send("done", "")


def track_run(messages: Iterator[list], send: Send) -> None:
    """Create the run of one stream of messages. A stream that ends without `finish` means that the job was killed."""
    _, settings = next(messages)
    rows = until_finish(messages)
    if settings["mode"] == "offline":
        rows = list(rows)
    run = start_run(settings, send)
    complete = False
    for kind, *content in rows:
        if kind == "row":
            row, step = content
            if step >= run.starting_step:  # the server already has earlier rows
                run.log(row, step=step)
        elif kind == "files":
            run.log(media_objects(*content))
        else:
            summary, complete = content
            run.summary.update(summary)
    run.finish(exit_code=0 if complete else 1)
    folder = Path(run.dir).absolute().parent
    if unwritten := write_error(folder):
        raise OSError(unwritten)
    if run.offline:
        remove_earlier_folders(folder, run.id)


def until_finish(messages: Iterable[list]) -> Iterator[list]:
    """Yield the messages up to `finish`. A forked process of the job may keep the pipe open after it."""
    for message in messages:
        yield message
        if message[0] == "finish":
            return


def start_run(settings: dict[str, Any], send: Send) -> Any:
    """Return a W&B run that records only the data that the job sends."""
    import wandb  # a long offline run does not need it until its end

    folder = Path(settings["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    quiet_settings = wandb.Settings(
        console="off",
        silent=True,
        symlink=False,  # no `latest-run`, because several jobs write here at once
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
        stop_fn=lambda: None,  # otherwise the web page's stop button interrupts this process
    )

    def init(mode: Literal["online", "offline"], resume: Literal["allow"] | None) -> Any:
        run = wandb.init(dir=folder, mode=mode, resume=resume, settings=quiet_settings, **settings["run"])
        if folder not in Path(run.dir).absolute().parents:  # if the folder is not writable, W&B silently uses another
            raise PermissionError(f"{folder} cannot be written to")
        send("folder", str(Path(run.dir).absolute().parent))
        return run

    if settings["mode"] == "offline":
        return init("offline", None)
    try:
        return init("online", "allow")
    except wandb.errors.Error as error:
        send("warning", f"{error}; the run is written offline")
        wandb.teardown()  # W&B's server still holds the run's id
        return init("offline", None)


def media_objects(tables: dict[str, str], figures: dict[str, str]) -> dict[str, Any]:
    """Return W&B's objects for CSV and image files, in separate sections of its web page."""
    import pandas as pd
    import wandb

    # Only empty and NaN mean that a value is missing: NA is a name that people give.
    frames = {name: pd.read_csv(path, keep_default_na=False, na_values=["", "NaN"]) for name, path in tables.items()}
    objects: dict[str, Any] = {f"tables/{name}": wandb.Table(dataframe=frame) for name, frame in frames.items()}
    return objects | {f"figures/{name}": wandb.Image(path) for name, path in figures.items()}


def write_error(folder: Path) -> str:
    """Return the error of W&B's server while writing, such as a full disk, or ''; W&B reports it only in its log."""
    match = WRITE_ERROR.search((folder / "logs" / "debug-internal.log").read_text(encoding="utf-8"))
    return match[1] if match else ""


def remove_earlier_folders(folder: Path, run_id: str) -> None:
    """Remove the offline folders of earlier starts of the run; the newest folder contains their rows."""
    for earlier in folder.parent.glob(f"offline-run-????????_??????-{run_id}"):
        if earlier != folder:
            shutil.rmtree(earlier, ignore_errors=True)


if __name__ == "__main__":
    main()
