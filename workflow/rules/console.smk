# What a terminal shows of jobs: a dry run sums them up, a run says in three lines which one starts. With -p or --verbose
# both say all of each job, as Snakemake does by itself; a run's file in .snakemake/log always does.

import textwrap

from snakemake.logging import DefaultFormatter, format_wildcards, timestamp
from snakemake_interface_logger_plugins.common import LogEvent


class Summary:
    """A filter that leaves out each job and shows the table of jobs once."""

    counted = False

    def __call__(self, record):
        event = getattr(record, "event", None)
        if event in (LogEvent.JOB_INFO, LogEvent.GROUP_INFO) or (event == LogEvent.RUN_INFO and self.counted):
            return False
        self.counted |= event == LogEvent.RUN_INFO
        record.msg = str(record.msg).replace("check individual jobs above for details", "each job: add -p")
        return True


class Brief(DefaultFormatter):
    """A formatter that says in short which job starts or has failed: inputs may be thousands of files."""

    def format_job_info(self, msg):
        name = f"rule {msg['rule_name']}"
        wildcards = format_wildcards(msg["wildcards"])
        lines = [
            timestamp(),
            f"Job {msg['jobid']}: {name}, {wildcards}" if wildcards else f"Job {msg['jobid']}: {name}",
        ]
        lines.append(f"    reason: {textwrap.shorten(msg['reason'], 160, placeholder=' …')}")
        return textwrap.indent("\n".join(lines), "    " if msg["indent"] else "")

    def _format_job_error(self, msg):
        return super()._format_job_error(msg | {key: first(msg[key]) for key in ("input", "output")})


def first(paths, count=4):
    """The first of some paths, and how many more there are."""
    return [*paths[:count], f"… ({len(paths)} files)"] if len(paths) > count else paths


shown = workflow.output_settings
if not (shown.printshellcmds or shown.verbose):
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler" and shown.dryrun:
            handler.addFilter(Summary())
        elif handler.name == "DefaultStreamHandler":
            handler.setFormatter(Brief(shown.quiet, shown.show_failed_logs))
