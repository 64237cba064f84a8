"""The jobs of a study and their files, from Snakemake's own graph."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings
from snakemake_interface_logger_plugins.common import LogEvent

from shapebias.errors import UserError

CORES = 100_000  # more than any job asks for, because Snakemake reduces a job's threads to this number


@dataclass(frozen=True)
class PlannedJob:
    """One job: its rule and wildcards, the files that it reads and writes, and its resources."""

    rule: str
    wildcards: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    cpus: int = 1
    gpus: int = 0
    nodes: int = 1


class JobCollector(logging.Handler):
    """A log handler that collects the jobs of a dry run."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[PlannedJob] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            fields = record.__dict__
            self.jobs.append(
                PlannedJob(
                    rule=fields["rule_name"],
                    wildcards=dict(fields["wildcards"]),
                    inputs=tuple(map(str, fields["input"])),
                    outputs=tuple(map(str, fields["output"])),
                    cpus=int(fields["threads"]),
                    gpus=int(fields["resources"].get("gpus", 0) or 0),
                    nodes=int(fields["resources"].get("nodes", 1) or 1),
                )
            )


def list_jobs(snakefile: Path, configfile: Path, config: Mapping[str, Any]) -> list[PlannedJob]:
    """Return all jobs that a dry run of the whole study lists, in no particular order.

    config: values that replace those of the file, as in Snakemake's --config. Raises UserError if Snakemake rejects the
    study.
    """
    collector = JobCollector()
    with SnakemakeApi(OutputSettings(dryrun=True)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=CORES),
            config_settings=ConfigSettings(configfiles=[configfile], config=dict(config)),
            snakefile=snakefile,
        )
        snakemake_handlers = list(logger.handlers)  # these print each job
        replace_handlers([collector], propagate=False)
        try:
            workflow.dag(dag_settings=DAGSettings(forceall=True)).execute_workflow(executor="dryrun")
        except WorkflowError as error:
            raise UserError(f"{configfile}: {error}") from None
        finally:
            replace_handlers(snakemake_handlers, propagate=True)
    return collector.jobs


def replace_handlers(handlers: Sequence[logging.Handler], *, propagate: bool) -> None:
    """Replace the handlers of Snakemake's logger."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    for handler in handlers:
        logger.addHandler(handler)
    logger.propagate = propagate
