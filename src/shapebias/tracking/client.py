"""A Weights & Biases run beside a job. The job's logs reach W&B, or one warning gives the reason why not.

W&B stays out of the job's process. A separate process (`shapebias.tracking.process`) imports it, starts its server and
may hang, crash or be killed. The job hands rows to a thread and never waits, except in `Tracker.finish`, which waits
for a limited time. So W&B's import delays no training step, its exit handlers block nothing, and signals reach only the
job's own handlers.

A run that is requeued and resumed keeps its id and logs *all* its rows again, from the first. Each row reaches W&B
once:

- offline, W&B keeps rows in memory and loses them on SIGTERM and SIGKILL. The file is therefore written when the job
  ends or is killed, with the whole history at once (the tracking process outlives a killed job for a second). It
  replaces the file of an earlier start of the same run, so each run has one `offline-run-*` folder for a plain
  `wandb sync`. `resume` is not set: with it, `wandb sync` would append all rows to the rows of an earlier sync;
  without it, the new rows replace them. W&B's "duration" is the time of the writing; each row has its own time.
- online, the run resumes at the end of the server's history, and earlier rows are skipped.

The user's WANDB_* variables (WANDB_BASE_URL, WANDB_ENTITY, …) apply if the settings have no value for them. So do the
variables of a `.env` file in the working folder. WANDB_MODE and WANDB_DISABLED can reduce the configured mode to
offline or disabled, but never raise it.
"""

import json
import logging
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from dotenv import dotenv_values

log = logging.getLogger(__name__)

MODES = ("offline", "online", "disabled")
MODE_WORDS = {mode: mode for mode in MODES} | {
    "dryrun": "offline",
    "run": "online",
}  # run and dryrun are W&B's older words
NEGATIVE_WORDS = ("", "false", "0", "no", "off")  # of WANDB_DISABLED; every other word disables
LIBRARY_FOLDER = Path(__file__).parents[1]
COMMAND = [sys.executable, "-m", "shapebias.tracking.process"]
LONGEST_TAG = 64  # characters
# The user may have set these for another run, or a surrounding W&B process set them.
DROPPED_VARIABLES = ("WANDB_MODE", "WANDB_RUN_ID", "WANDB_RESUME", "WANDB_SERVICE")


@dataclass(frozen=True)
class TrackingSettings:
    """The destination of runs."""

    mode: str = "offline"  # one of MODES
    project: str = "shapebias"
    entity: str | None = None  # user or team; None is the account's default
    folder: Path = Path()  # W&B creates its folder `wandb` here
    wait: float = 60.0  # longest wait of `finish`, in seconds


def new_run_id() -> str:
    """Return eight random characters that do not use the random streams of training."""
    return secrets.token_hex(4)


class Tracker:
    """One W&B run. No method raises an error because of W&B, and only `finish` waits."""

    def __init__(
        self,
        settings: TrackingSettings,
        *,
        run_id: str,
        name: str,
        group: str,
        job_type: str,
        tags: list[str],
        config: dict,
    ) -> None:
        """Start the run, or resume the run of that id.

        run_id: letters and digits, such as `new_run_id` returns. group, job_type, tags: for sorting W&B's table of
        runs. config: JSON values; other values become text. With several ranks, only one rank has a tracker.
        """
        self.folder: Path | None = None  # the run's folder; set after `finish`
        self.warning: str | None = None  # the first warning, if any
        self.arrived = False  # whether all messages reached W&B
        self._wait = settings.wait
        self._process: subprocess.Popen[str] | None = None
        self._messages: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        environment = read_env_file(Path(".env")) | dict(os.environ)
        requested = environment.get("WANDB_MODE")
        self.mode = effective_mode(settings.mode, requested, environment.get("WANDB_DISABLED"))
        if self.mode != "disabled" and requested and requested.strip().lower() not in MODE_WORDS:
            self._warn(f"WANDB_MODE={requested} is none of {', '.join(MODE_WORDS)}, so the run is written offline")
        if self.mode == "online" and not environment.get("WANDB_API_KEY"):
            self._warn("WANDB_API_KEY is neither in the environment nor in .env, so the run is written offline")
            self.mode = "offline"
        if self.mode == "disabled":
            return
        folder = settings.folder.absolute()
        self._queue_message(
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
                    "tags": shorten_tags(tags),
                    "config": config,
                },
            },
        )
        environment = process_environment(environment, self.mode, folder)
        self._thread = threading.Thread(target=self._send_messages, args=(environment,), name="wandb", daemon=True)
        self._thread.start()

    def log(self, row: Mapping[str, Any], step: int) -> None:
        """Add a row to the history: name → number.

        step: increases with every row. A resumed run logs every row again, from the first.
        """
        self._queue_message("row", {"_timestamp": time.time(), **row}, step)

    def log_files(self, tables: dict[str, Path], figures: dict[str, Path]) -> None:
        """Add named tables (CSV files) and figures (image files)."""
        self._queue_message(
            "files", *({name: str(path) for name, path in group.items()} for group in (tables, figures))
        )

    def finish(self, summary: dict[str, Any], *, complete: bool = True, wait: float | None = None) -> None:
        """End the run and its process within `wait` seconds (default: the settings' value).

        summary: values for W&B's table of runs, such as the best accuracy. complete: whether the run is finished; a run
        that will be resumed counts as failed until then.
        """
        if self.mode == "disabled":
            return
        self._queue_message("finish", summary, complete)
        self._messages.put(None)
        wait = self._wait if wait is None else wait
        self._thread.join(wait)
        if self._thread.is_alive():
            self._warn(f"its process did not end within {wait:g} s, so it is killed")
            if self._process is not None:
                self._process.kill()  # W&B's server notices it and ends too

    def _warn(self, text: str) -> None:
        if self.warning is None:
            self.warning = " ".join(text.split())
            log.warning("W&B: %s; the job continues, and its own files contain all results", self.warning)

    def _queue_message(self, kind: str, *content: Any) -> None:
        if self.mode != "disabled":
            self._messages.put(json.dumps([kind, *content], default=to_json))

    def _send_messages(self, environment: dict[str, str]) -> None:
        """Send messages as they arrive. The pipe stays full while the tracking process hangs."""
        try:
            with subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
                start_new_session=True,  # Ctrl-C must reach the job only
            ) as self._process:
                assert self._process.stdin and self._process.stdout
                listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
                listener.start()
                for message in iter(self._messages.get, None):
                    print(message, file=self._process.stdin, flush=True)
                listener.join()
        except BrokenPipeError:
            pass  # the process has ended; the listener logs the reason
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


def shorten_tags(tags: list[str]) -> list[str]:
    """Return the tags cut to the length that W&B takes, each once; the run's name keeps all of them."""
    return list(dict.fromkeys(tag[:LONGEST_TAG] for tag in tags if tag))


def to_json(value: Any) -> Any:
    """Convert a value that JSON lacks: a NumPy or torch number to a number, everything else to text."""
    return value.item() if hasattr(value, "item") else str(value)


def effective_mode(configured: str, requested: str | None, disabled: str | None = None) -> str:
    """Return the configured mode, reduced to what the environment asks for if that is lower.

    requested: WANDB_MODE, one of MODE_WORDS in upper or lower case; every other word means offline.
    disabled: WANDB_DISABLED, which disables unless it is one of NEGATIVE_WORDS.
    """
    modes = {configured}
    if requested and requested.strip():
        modes.add(MODE_WORDS.get(requested.strip().lower(), "offline"))
    if disabled is not None and disabled.strip().lower() not in NEGATIVE_WORDS:
        modes.add("disabled")
    return next(mode for mode in ("disabled", "offline", "online") if mode in modes)


def read_env_file(file: Path) -> dict[str, str]:
    """Return the WANDB_* variables of a `.env` file, or nothing if the file is missing or not text."""
    try:
        values = dotenv_values(file, interpolate=False)
    except (OSError, UnicodeDecodeError):
        return {}
    return {key: value for key, value in values.items() if key.startswith("WANDB_") and value is not None}


def process_environment(environment: dict[str, str], mode: str, folder: Path) -> dict[str, str]:
    """Return the environment of the tracking process.

    It contains the API key only if the mode needs it, and it keeps W&B's folders out of the home folder.
    """
    dropped = (*DROPPED_VARIABLES, *(["WANDB_API_KEY"] if mode == "offline" else []))
    inherited = {key: value for key, value in environment.items() if key not in dropped}
    path = os.pathsep.join(filter(None, [str(LIBRARY_FOLDER), environment.get("PYTHONPATH")]))
    no_crash_reports = {"WANDB_ERROR_REPORTING": "false"}  # W&B would report its own crashes to its company
    folders = {f"WANDB_{kind}_DIR": str(folder / "wandb" / kind.lower()) for kind in ("CACHE", "DATA")}
    return no_crash_reports | folders | inherited | {"PYTHONPATH": path}
