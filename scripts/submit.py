#!/usr/bin/env python3
"""Submit one training, without the workflow: all options of scripts/train.py, and where it is to run.

On SLURM it is queued again when its time is up or it is preempted, and goes on from its checkpoint.
"""

import argparse
import logging
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

import submitit
import train
from submitit.core.utils import FailedJobError, UncompletedJobError

from shapebias.cli import Parser, non_negative_int, positive_float, positive_int, run
from shapebias.errors import UserError
from shapebias.training.interruption import TRY_AGAIN
from shapebias.training.recipe import recipe_from

log = logging.getLogger(__name__)

SCRIPT = Path(train.__file__).resolve()
OTHERS_WAIT = 10  # seconds that a rank leaves the first one to have the job queued again, before it ends


class Training:
    """One training as submitit runs it: in each rank, and again each time that the job is queued again."""

    def __init__(self, arguments: list[str]) -> None:
        # Paths of this checkout, since nothing need be installed where the job runs.
        self.script, self.library, self.arguments = str(SCRIPT), str(SCRIPT.parents[1] / "src"), arguments

    def __call__(self) -> None:
        queue_again = signal.getsignal(signal.SIGUSR2)
        sys.argv, sys.path = [self.script, *self.arguments], [self.library, *sys.path]
        try:
            runpy.run_path(self.script, run_name="__main__")
        except SystemExit as left:
            if left.code == TRY_AGAIN and callable(queue_again):
                queue_again(signal.SIGUSR2, None)  # submitit's; it does not return in the first rank
                time.sleep(OTHERS_WAIT)
                raise
            if left.code:
                raise RuntimeError(f"training ended with status {left.code}") from None

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """What is queued again: the same, since training finds its checkpoint by itself."""
        return submitit.helpers.DelayedSubmission(self)


def submission_parser(**more: Any) -> argparse.ArgumentParser:
    parser = Parser(description=__doc__, allow_abbrev=False, **more)
    group = parser.add_argument_group("submission")
    group.add_argument("--cluster", choices=("slurm", "local", "debug"), default="slurm", help="default: %(default)s")
    group.add_argument(
        "--nodes", type=positive_int, default=1, help="that share the ranks evenly (default: %(default)s)"
    )
    group.add_argument(
        "--minutes", type=positive_int, default=1440, help="time limit of one try (default: %(default)s)"
    )
    group.add_argument("--tries", type=positive_int, default=10, help="that may run out of time (default: %(default)s)")
    group.add_argument("--memory", type=positive_float, default=16, help="of a node, GB (default: %(default)s)")
    group.add_argument("--gpus", type=non_negative_int, help="of a node (default: one a rank, none with --device cpu)")
    group.add_argument("--partition", help="of the cluster (default: the cluster's)")
    group.add_argument("--account", help="that is charged (default: the user's)")
    group.add_argument("--constraint", help="feature that nodes must have, such as a100")
    group.add_argument("--logs", type=Path, default=Path("logs/submit"), help="folder of logs (default: %(default)s)")
    return parser


def parse_args(argv: list[str]) -> tuple[argparse.Namespace, argparse.Namespace, list[str]]:
    """What is for the submission, what is for training, and the latter's words."""
    if {"-h", "--help"} & set(argv):
        submission_parser(parents=[train.make_parser(add_help=False)]).parse_args(argv)
    own, words = submission_parser(add_help=False).parse_known_args(argv)
    return own, train.parse_args(words), words


def parameters(own: argparse.Namespace, training: argparse.Namespace) -> dict[str, Any]:
    """What is asked of the cluster. Raises UserError where ranks cannot be shared by the nodes."""
    recipe = recipe_from(training)
    ranks = max(recipe.ranks, own.nodes)
    if ranks % own.nodes:
        raise UserError(f"--ranks {ranks} cannot be shared evenly by {own.nodes} nodes")
    tasks = ranks // own.nodes
    gpus = own.gpus if own.gpus is not None else tasks * (training.device != "cpu")
    wanted = {
        "name": "_".join(filter(None, [training.model or training.timm.replace("/", "-"), training.regime])),
        "nodes": own.nodes,
        "tasks_per_node": tasks,
        "cpus_per_task": recipe.threads + recipe.workers,
        "gpus_per_node": gpus,
        "mem_gb": own.memory,
        "timeout_min": own.minutes,
        "slurm_partition": own.partition,
        "slurm_account": own.account,
        "slurm_constraint": own.constraint,
        "stderr_to_stdout": True,
    }
    return {key: value for key, value in wanted.items() if value is not None}


def main(argv: list[str] | None = None) -> None:
    own, training, words = parse_args(sys.argv[1:] if argv is None else argv)
    options = parameters(own, training)
    try:
        executor = submitit.AutoExecutor(own.logs, cluster=own.cluster, slurm_max_num_timeout=own.tries)
    except RuntimeError as error:
        raise UserError(f"--cluster {own.cluster}: {error}; --cluster local runs it on this machine") from None
    executor.update_parameters(**options)
    try:
        job = executor.submit(Training(words))
    except FailedJobError as error:
        raise UserError(f"--cluster {own.cluster} refused the job: {' '.join(str(error).split())}") from None
    log.info("%s: job %s, log %s", options["name"], job.job_id, job.paths.stdout)
    if own.cluster == "slurm":
        return
    try:
        job.results()
    except (FailedJobError, UncompletedJobError, RuntimeError):
        raise UserError(f"the training failed; its log, {job.paths.stdout}, says why") from None
    log.info("%s: complete", training.out)


if __name__ == "__main__":
    run(main)
