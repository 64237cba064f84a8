"""A Weights & Biases run beside a job: what it logs arrives there, or one warning says why not.

W&B stays out of the job's process. A process of its own (`shapebias.tracking.process`) imports it, starts its server
and may hang, crash or be killed; the job hands rows to a thread and never waits, but for `Tracker.finish`, a bounded
time. So W&B's import delays no training step, its exit handlers hold up nothing, and signals stay the job's own.

A run that goes on after a requeue keeps its id and logs *all* its rows again, from the first; each arrives once:

- offline, W&B keeps what it is given in memory and loses it to SIGTERM and SIGKILL. Its file is therefore written when
  the job ends (or is killed: the tracking process outlives it for a second), the whole history at once, and replaces
  the file of an earlier start of the same run. There is one `offline-run-*` folder a run, for a plain `wandb sync`.
  `resume` is not asked for, since `wandb sync` would then append all rows to those that were synced before; without it
  they take their places. W&B's "duration" is that of the writing; each row carries the time it was logged at.
- online, the run resumes where the server's history ends, and rows from before are left out.

The user's WANDB_* variables hold (WANDB_BASE_URL, WANDB_ENTITY, …) where the settings say nothing, and so do those of
a `.env` file in the working folder; WANDB_MODE can turn the configured mode down to offline or disabled, never up.
"""

import argparse
import json
import logging
import os
import queue
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

log = logging.getLogger(__name__)

MODES = ("offline", "online", "disabled")
LIBRARY = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "shapebias.tracking.process"]
# WANDB_API_KEY=value, export WANDB_API_KEY="value" # comment
VARIABLE = re.compile(r"""\s*(?:export\s+)?(WANDB_\w+)\s*=\s*(?:'([^']*)'|"([^"]*)"|([^\s#'"]*))\s*(?:#.*)?""")
# What a user may have set for another run, or a W&B process that this one runs in.
OF_OTHER_RUNS = ("WANDB_MODE", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SERVICE")


@dataclass(frozen=True)
class Settings:
    """Where runs go."""

    mode: str = "offline"  # one of MODES
    project: str = "shapebias"
    entity: str | None = None  # the user or team; if omitted, the account's default
    folder: Path = Path()  # W&B makes its folder `wandb` in it
    wait: float = 60.0  # seconds that `finish` waits at most


def add_tracking_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that `tracking_settings` reads."""
    default = Settings()
    group = parser.add_argument_group(
        "Weights & Biases", "The key is taken from the environment, WANDB_API_KEY, or from a .env file here."
    )
    group.add_argument(
        "--wandb-mode",
        choices=MODES,
        default=default.mode,
        help="offline writes files for a later `wandb sync` (default: %(default)s)",
    )
    group.add_argument("--wandb-project", default=default.project, metavar="NAME", help="default: %(default)s")
    group.add_argument("--wandb-entity", metavar="NAME", help="user or team (default: the account's)")
    group.add_argument(
        "--wandb-dir",
        type=Path,
        default=default.folder,
        metavar="DIR",
        help="runs are written to DIR/wandb (default: the working folder)",
    )


def tracking_settings(args: argparse.Namespace) -> Settings:
    """The settings that the flags describe."""
    return Settings(args.wandb_mode, args.wandb_project, args.wandb_entity, args.wandb_dir)


def new_run_id() -> str:
    """Eight random characters, from outside the random streams that training draws from."""
    return secrets.token_hex(4)


class Tracker:
    """One W&B run. No method raises because of W&B, and only `finish` waits."""

    def __init__(
        self, settings: Settings, *, run_id: str, name: str, group: str, job_type: str, tags: list[str], config: dict
    ) -> None:
        """Start the run, or go on with the run of that id.

        run_id: letters and digits, such as `new_run_id`'s. group, job_type, tags: what W&B's table of runs is sorted
        by. config: JSON values; others become text. With several ranks, only one has a tracker.
        """
        self.folder: Path | None = None  # where the run was written, known after `finish`
        self.warning: str | None = None  # the first, if any
        self.arrived = False  # whether all did
        self._wait = settings.wait
        self._process: subprocess.Popen[str] | None = None
        self._messages: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        environment = variables(Path(".env")) | dict(os.environ)
        self.mode = effective_mode(settings.mode, environment.get("WANDB_MODE"))
        if self.mode == "online" and not environment.get("WANDB_API_KEY"):
            self._warn("WANDB_API_KEY is neither in the environment nor in .env, so the run is written offline")
            self.mode = "offline"
        if self.mode == "disabled":
            return
        folder = settings.folder.absolute()
        self._send(
            "begin",
            {
                "mode": self.mode,
                "folder": str(folder),
                "timeout": settings.wait / 3,
                "run": {
                    "id": run_id,
                    "name": name,
                    "project": settings.project,
                    "entity": settings.entity,
                    "group": group,
                    "job_type": job_type,
                    "tags": tags,
                    "config": config,
                },
            },
        )
        environment = process_environment(environment, self.mode, folder)
        self._thread = threading.Thread(target=self._feed, args=(environment,), name="wandb", daemon=True)
        self._thread.start()

    def log(self, row: Mapping[str, Any], step: int) -> None:
        """Add a row of the history: name → number. step: rises; a continued run logs every row from its first."""
        self._send("row", {"_timestamp": time.time(), **row}, step)

    def log_files(self, tables: dict[str, Path], figures: dict[str, Path]) -> None:
        """Add tables (CSV files) and figures (image files), each under its name."""
        self._send("files", *({name: str(path) for name, path in group.items()} for group in (tables, figures)))

    def finish(self, summary: dict[str, Any], *, complete: bool = True, wait: float | None = None) -> None:
        """End the run, and with it its process, within `wait` seconds (if omitted: the settings').

        summary: what W&B's table of runs shows, such as the best accuracy. complete: whether all is done; a run that
        is to be continued counts as failed until then.
        """
        if self.mode == "disabled":
            return
        self._send("finish", summary, complete)
        self._messages.put(None)
        wait = self._wait if wait is None else wait
        self._thread.join(wait)
        if self._thread.is_alive():
            self._warn(f"no end after {wait:g} s, so it is given up")
            if self._process is not None:
                self._process.kill()  # W&B's server watches it and ends, too

    def _warn(self, text: str) -> None:
        if self.warning is None:
            self.warning = " ".join(text.split())
            log.warning("W&B: %s; the job goes on, and its own files hold everything", self.warning)

    def _send(self, kind: str, *content: Any) -> None:
        if self.mode != "disabled":
            self._messages.put(json.dumps([kind, *content], default=plain))

    def _feed(self, environment: dict[str, str]) -> None:
        """Hand messages on as they come; the pipe may be full for as long as the other side hangs."""
        try:
            with subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the job
            ) as self._process:
                assert self._process.stdin and self._process.stdout
                listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
                listener.start()
                for message in iter(self._messages.get, None):
                    print(message, file=self._process.stdin, flush=True)
                listener.join()
        except BrokenPipeError:
            pass  # it has ended; the listener says why
        except OSError as error:
            self._warn(str(error))

    def _listen(self, lines: TextIO) -> None:
        for kind, text in map(json.loads, lines):
            if kind == "folder":
                self.folder = Path(text)
            elif kind == "warning":
                self._warn(text)
            else:
                self.arrived = True
        if not self.arrived:
            self._warn("its process ended early")


def plain(value: Any) -> Any:
    """What JSON does not know: a number of NumPy or torch as a number, all else as text."""
    return value.item() if hasattr(value, "item") else str(value)


def effective_mode(configured: str, asked: str | None) -> str:
    """The configured mode, turned down by WANDB_MODE if that asks for less."""
    return next(mode for mode in ("disabled", "offline", "online") if mode in (configured, asked))


def variables(file: Path) -> dict[str, str]:
    """The WANDB_* variables of a `.env` file (KEY=value, export KEY="value", # comments); none if there is no file."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    matches = [match for line in lines if (match := VARIABLE.fullmatch(line))]
    return {match[1]: match[match.lastindex or 1] for match in matches}


def process_environment(environment: dict[str, str], mode: str, folder: Path) -> dict[str, str]:
    """What the tracking process finds in its environment: the key only if it needs it, and no folder in the home."""
    dropped = (*OF_OTHER_RUNS, *(["WANDB_API_KEY"] if mode == "offline" else []))
    kept = {key: value for key, value in environment.items() if key not in dropped}
    path = os.pathsep.join(filter(None, [str(LIBRARY), environment.get("PYTHONPATH")]))
    quiet = {"WANDB_ERROR_REPORTING": "false"}  # W&B's reports of its own crashes to its makers
    places = {f"WANDB_{kind}_DIR": str(folder / "wandb" / kind.lower()) for kind in ("CACHE", "DATA")}
    return quiet | places | kept | {"PYTHONPATH": path}
