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

CORES = 100_000  # more than any job asks for: Snakemake gives no job more cores than there are


@dataclass(frozen=True)
class Job:
    """One job: its rule and wildcards, the files that it reads and writes, and its resources."""

    rule: str
    wildcards: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    cpus: int = 1
    gpus: int = 0
    nodes: int = 1


class JobCollector(logging.Handler):
    """A log handler that keeps the jobs that a dry run announces."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Job] = []

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", None) == LogEvent.JOB_INFO:
            facts = record.__dict__
            self.jobs.append(
                Job(
                    rule=facts["rule_name"],
                    wildcards=dict(facts["wildcards"]),
                    inputs=tuple(map(str, facts["input"])),
                    outputs=tuple(map(str, facts["output"])),
                    cpus=int(facts["threads"]),
                    gpus=int(facts["resources"].get("gpus", 0) or 0),
                    nodes=int(facts["resources"].get("nodes", 1) or 1),
                )
            )


def list_jobs(snakefile: Path, configfile: Path, config: Mapping[str, Any]) -> list[Job]:
    """Return all jobs of a study as a dry run of everything announces them, in no particular order.

    config: keys over the file's, as Snakemake's --config takes them. Raises UserError if Snakemake refuses the study.
    """
    collector = JobCollector()
    with SnakemakeApi(OutputSettings(dryrun=True)) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=CORES),
            config_settings=ConfigSettings(configfiles=[configfile], config=dict(config)),
            snakefile=snakefile,
        )
        own_handlers = list(logger.handlers)  # they would print each job
        replace_handlers([collector], propagate=False)
        try:
            workflow.dag(dag_settings=DAGSettings(forceall=True)).execute_workflow(executor="dryrun")
        except WorkflowError as error:
            raise UserError(f"{configfile}: {error}") from None
        finally:
            replace_handlers(own_handlers, propagate=True)
    return collector.jobs


def replace_handlers(handlers: Sequence[logging.Handler], *, propagate: bool) -> None:
    """Give Snakemake's logger other handlers."""
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    for handler in handlers:
        logger.addHandler(handler)
    logger.propagate = propagate
