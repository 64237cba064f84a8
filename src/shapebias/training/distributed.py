"""Ranks: the processes that train one network together, one a GPU (or a CPU), over one or many nodes.

torchrun and srun start them; each finds out which it is, checks that it has what was asked for, and sums with the
others.
"""

import logging
import os
import socket
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed

from shapebias.errors import UserError
from shapebias.networks.device import resolve_device

log = logging.getLogger(__name__)

PATIENCE = timedelta(minutes=30)  # for a rank that does not answer: rank 0 may write a slow disk full
# Of all SLURM's variables this one is set in steps of srun alone, not in the script that sbatch or salloc runs.
SRUN_TASKS = "SLURM_STEP_NUM_TASKS"


@dataclass(frozen=True)
class Ranks:
    """This process among all that train together.

    rank: its number among `world`, from 0.
    """

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether it is the one that writes files."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all ranks, in place."""
        if self.world > 1:
            distributed.all_reduce(values)
        return values


ALONE = Ranks()


def join(device: str = "auto", *, ranks: int = 0, cpus: int = 0) -> Ranks:
    """Join the other ranks, if this process was started as one of several, and say what was found.

    device: auto, cpu, cuda. ranks, cpus: what was asked for (0: whatever there is): ranks in all, and processors that
    each may use. Raises UserError where something else is found, and for a GPU that is not there.
    """
    export_environment()
    rank, world, local_rank, local_world = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1))
    )
    if ranks and world != ranks:
        raise UserError(
            f"{world} process{'es' * (world > 1)} started, but ranks is {ranks}; start them with "
            f"`torchrun --standalone --nproc-per-node {ranks}` or srun, or set ranks to {world}"
        )
    there = len(os.sched_getaffinity(0))
    if cpus > there:
        raise UserError(f"{cpus} CPUs were asked for, but this process may use {there}; ask the scheduler for more")
    mine = own_device(resolve_device(device), local_rank, local_world)
    if world > 1:
        if mine.startswith("cuda"):
            torch.cuda.set_device(mine)
        distributed.init_process_group("nccl" if mine.startswith("cuda") else "gloo", timeout=PATIENCE)
    name = torch.cuda.get_device_name(mine) if mine.startswith("cuda") else f"{there} CPUs"
    log.info("rank %d of %d on %s: %s (%s)", rank, world, socket.gethostname(), mine, name)
    if rank:  # what happens is said once
        logging.getLogger().setLevel(logging.WARNING)
    return Ranks(rank, world, mine)


def export_environment() -> None:
    """Under srun or submitit, set the variables that torchrun would have set."""
    if "RANK" in os.environ:
        return
    if int(os.environ.get(SRUN_TASKS, 1)) > 1:
        os.environ.setdefault("SUBMITIT_EXECUTOR", "slurm")
    if os.environ.get("SUBMITIT_EXECUTOR", "debug") != "debug":
        from submitit.helpers import TorchDistributedEnvironment  # not everywhere, and not for one process

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False)


def own_device(device: str, local_rank: int, local_world: int) -> str:
    """The GPU of one rank; a scheduler may show each rank all GPUs of the node or its own alone."""
    if device != "cuda":
        return device
    visible = torch.cuda.device_count()
    if visible == 1 and local_world > 1 and os.environ.get("SLURM_GPUS_PER_TASK"):
        return "cuda:0"
    if visible < local_world:
        shown = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise UserError(
            f"{local_world} ranks on {socket.gethostname()}, but {visible} GPUs (CUDA_VISIBLE_DEVICES: {shown}); "
            f"ask for one GPU a rank, or set the device to cpu"
        )
    return f"cuda:{local_rank}"


def leave() -> None:
    """Part from the other ranks."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
