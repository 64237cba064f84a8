"""`--logger shapebias`: a dry run prints a summary of its jobs, and a run prints three lines per starting job.

With -p or --verbose both print full job descriptions, as Snakemake does by default. The log file in .snakemake/log
always has full descriptions.
"""

import sys
import textwrap
from logging import LogRecord
from typing import Any

from snakemake.logging import (
    ColorizingTextHandler,
    DefaultFilter,
    DefaultFormatter,
    format_wildcards,
    timestamp,
)
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

FILES = 4  # inputs and outputs named for a failed job, which may have thousands


class BriefFormatter(DefaultFormatter):
    def format_job_info(self, msg: dict[str, Any]) -> str:
        wildcards = format_wildcards(msg["wildcards"])
        rule = f"Job {msg['jobid']}: rule {msg['rule_name']}" + (f", {wildcards}" if wildcards else "")
        reason = textwrap.shorten(msg["reason"], 160, placeholder=" …")
        return f"{timestamp()}\n{rule}\n    reason: {reason}"

    def format_job_error(self, msg: dict[str, Any]) -> str:
        return super().format_job_error(msg | {key: shorten_paths(msg[key]) for key in ("input", "output")})


def shorten_paths(paths: list[str]) -> list[str]:
    """Return the first few paths and their total number."""
    return [*paths[:FILES], f"… ({len(paths)} files)"] if len(paths) > FILES else paths


class LogHandler(LogHandlerBase):
    """A stream handler with Snakemake's own colours and filter."""

    writes_to_stream = has_filter = has_formatter = True
    writes_to_file = needs_rulegraph = False

    def __post_init__(self) -> None:
        output = self.common_settings
        brief = not (output.printshellcmds or output.verbose)
        formatter = BriefFormatter if brief else DefaultFormatter
        self.handler = ColorizingTextHandler(output.nocolor, sys.stdout if output.stdout else sys.stderr)
        self.handler.setFormatter(formatter(output.quiet, output.show_failed_logs))
        self.addFilter(
            DefaultFilter(output.quiet, output.debug_dag, output.verbose, output.dryrun, output.printshellcmds)
        )
        self.summary, self.table_shown = brief and output.dryrun, False

    def emit(self, record: LogRecord) -> None:
        event = getattr(record, "event", None)
        if self.summary and (event in (LogEvent.JOB_INFO, LogEvent.GROUP_INFO)):
            return
        if self.summary and event == LogEvent.RUN_INFO:  # a dry run prints the table of jobs twice
            if self.table_shown:
                return
            self.table_shown = True
        if self.summary:
            record.msg = str(record.msg).replace("check individual jobs above for details", "each job: add -p")
        self.handler.emit(record)
