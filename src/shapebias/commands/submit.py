"""Submit one training without the workflow: the options of scripts/train.py, and options for the job.

SLURM requeues the job when its time is up or it is preempted, and training resumes from its checkpoint.
"""

import argparse
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, UncompletedJobError

from shapebias.cli import Parser, non_negative_int, positive_float, positive_int, run
from shapebias.commands.training_options import recipe_from_options, training_parser
from shapebias.errors import UserError
from shapebias.training.interruption import RETRY_STATUS

log = logging.getLogger(__name__)

REQUEUE_SECONDS = 10  # the other ranks wait this long for the first rank to requeue the job


class Training:
    """One training as submitit runs it: in each rank, and again after every requeue."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments

    def __call__(self) -> None:
        from shapebias.commands import train  # imports torch, which the submission does not need

        requeue = signal.getsignal(signal.SIGUSR2)
        sys.argv = ["shapebias train", *self.arguments]
        try:
            run(train.main)
        except SystemExit as stop:
            if stop.code == RETRY_STATUS and callable(requeue):
                requeue(signal.SIGUSR2, None)  # submitit's handler; it does not return in the first rank
                time.sleep(REQUEUE_SECONDS)
                raise
            if stop.code:
                raise RuntimeError(f"training ended with status {stop.code}") from None

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Return the same training for the requeue, because it finds its checkpoint by itself."""
        return submitit.helpers.DelayedSubmission(self)


def submission_parser(**parser_arguments: Any) -> argparse.ArgumentParser:
    parser = Parser(description=__doc__, allow_abbrev=False, **parser_arguments)
    group = parser.add_argument_group("submission")
    group.add_argument("--cluster", choices=("slurm", "local", "debug"), default="slurm", help="default: %(default)s")
    group.add_argument(
        "--nodes", type=positive_int, default=1, help="nodes, which share the ranks evenly (default: %(default)s)"
    )
    group.add_argument(
        "--minutes", type=positive_int, default=1440, help="time limit of one attempt (default: %(default)s)"
    )
    group.add_argument(
        "--tries", type=positive_int, default=10, help="attempts that may run out of time (default: %(default)s)"
    )
    group.add_argument("--memory", type=positive_float, default=16, help="GB of a node (default: %(default)s)")
    group.add_argument("--gpus", type=non_negative_int, help="GPUs of a node (default: one per rank, 0 on a CPU)")
    group.add_argument("--partition", help="partition of the cluster (default: the cluster's own)")
    group.add_argument("--account", help="account to charge (default: the user's own)")
    group.add_argument("--constraint", help="feature that the nodes must have, such as a100")
    group.add_argument("--logs", type=Path, default=Path("logs/submit"), help="folder of logs (default: %(default)s)")
    return parser


def parse_args(argv: list[str]) -> tuple[argparse.Namespace, argparse.Namespace, list[str]]:
    """Return the options of the submission, the options of training, and the latter's arguments."""
    if {"-h", "--help"} & set(argv):
        submission_parser(parents=[training_parser(add_help=False)]).parse_args(argv)
    submission, arguments = submission_parser(add_help=False).parse_known_args(argv)
    return submission, training_parser().parse_args(arguments), arguments


def parameters(submission: argparse.Namespace, training: argparse.Namespace) -> dict[str, Any]:
    """Return the resources to request. Raises UserError if the nodes cannot share the ranks evenly."""
    recipe = recipe_from_options(training)
    ranks = max(recipe.ranks, submission.nodes)
    if ranks % submission.nodes:
        raise UserError(f"--ranks {ranks} cannot be shared evenly by {submission.nodes} nodes")
    tasks = ranks // submission.nodes
    gpus = submission.gpus if submission.gpus is not None else tasks * (training.device != "cpu")
    resources = {
        "name": "_".join(filter(None, [training.model or training.timm.replace("/", "-"), training.regime])),
        "nodes": submission.nodes,
        "tasks_per_node": tasks,
        "cpus_per_task": recipe.threads + recipe.workers,
        "gpus_per_node": gpus,
        "mem_gb": submission.memory,
        "timeout_min": submission.minutes,
        "slurm_partition": submission.partition,
        "slurm_account": submission.account,
        "slurm_constraint": submission.constraint,
        "stderr_to_stdout": True,
    }
    return {key: value for key, value in resources.items() if value is not None}


def main(argv: list[str] | None = None) -> None:
    submission, training, arguments = parse_args(sys.argv[1:] if argv is None else argv)
    options = parameters(submission, training)
    try:
        executor = submitit.AutoExecutor(
            submission.logs, cluster=submission.cluster, slurm_max_num_timeout=submission.tries
        )
    except RuntimeError as error:
        raise UserError(f"--cluster {submission.cluster}: {error}; --cluster local runs it on this machine") from None
    executor.update_parameters(**options)
    try:
        job = executor.submit(Training(arguments))
    except FailedJobError as error:
        raise UserError(f"--cluster {submission.cluster} refused the job: {' '.join(str(error).split())}") from None
    log.info("%s: job %s, log %s", options["name"], job.job_id, job.paths.stdout)
    if submission.cluster == "slurm":
        return
    try:
        job.results()
    except (FailedJobError, UncompletedJobError, RuntimeError):
        raise UserError(f"the training failed; the reason is in its log, {job.paths.stdout}") from None
    log.info("%s: complete", training.out)
