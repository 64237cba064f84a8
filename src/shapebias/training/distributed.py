"""Distributed training: the processes (ranks) that train one network together.

There is one rank per GPU or CPU, on one or more nodes. torchrun or srun starts the ranks. Each rank finds its number,
checks that it has the requested resources, and sums tensors with the other ranks.
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

TIMEOUT = timedelta(minutes=30)  # for a silent rank; rank 0 may be writing to a slow disk
# Only this SLURM variable is set in srun's steps alone, and not in the script that sbatch or salloc runs.
SRUN_TASKS = "SLURM_STEP_NUM_TASKS"


@dataclass(frozen=True)
class World:
    """The group of processes that train together, and this process's rank in it.

    rank: this process's number, from 0. size: number of processes. device: this process's device.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process is rank 0, which writes the files."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Sum a tensor over all ranks, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values


SINGLE_PROCESS = World()


def join_process_group(device: str = "auto", *, world_size: int = 0, cpus: int = 0) -> World:
    """Join the process group if this process was started as one of several, and log the result.

    device: auto, cpu or cuda. world_size, cpus: required number of ranks, and of CPUs that each may use (0: any
    number). Raises UserError if the numbers differ, or if a GPU is missing.
    """
    export_environment()
    rank, started, local_rank, local_world = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1))
    )
    if world_size and started != world_size:
        raise UserError(
            f"{started} process{'es' * (started > 1)} started, but ranks is {world_size}; start them with "
            f"`torchrun --standalone --nproc-per-node {world_size}` or srun, or set ranks to {started}"
        )
    allowed = len(os.sched_getaffinity(0))
    if cpus > allowed:
        raise UserError(
            f"{cpus} CPUs were requested, but this process may use {allowed}; request more from the scheduler"
        )
    own_device = rank_device(resolve_device(device), local_rank, local_world)
    if started > 1:
        if own_device.startswith("cuda"):
            torch.cuda.set_device(own_device)
        distributed.init_process_group("nccl" if own_device.startswith("cuda") else "gloo", timeout=TIMEOUT)
    name = torch.cuda.get_device_name(own_device) if own_device.startswith("cuda") else f"{allowed} CPUs"
    log.info("rank %d of %d on %s: %s (%s)", rank, started, socket.gethostname(), own_device, name)
    if rank:  # one rank's log is enough
        logging.getLogger().setLevel(logging.WARNING)
    return World(rank, started, own_device)


def export_environment() -> None:
    """Under srun or submitit, set the variables that torchrun would set."""
    if "RANK" in os.environ:
        return
    if int(os.environ.get(SRUN_TASKS, 1)) > 1:
        os.environ.setdefault("SUBMITIT_EXECUTOR", "slurm")
    if os.environ.get("SUBMITIT_EXECUTOR", "debug") != "debug":
        # Import only here: not every environment has submitit, and a single process does not need it.
        from submitit.helpers import TorchDistributedEnvironment

        TorchDistributedEnvironment().export(set_cuda_visible_devices=False)


def rank_device(device: str, local_rank: int, local_world: int) -> str:
    """Return the GPU of one rank. A scheduler shows each rank either all GPUs of the node or only its own."""
    if device != "cuda":
        return device
    visible = torch.cuda.device_count()
    if visible == 1 and local_world > 1 and os.environ.get("SLURM_GPUS_PER_TASK"):
        return "cuda:0"
    if visible < local_world:
        setting = os.environ.get("CUDA_VISIBLE_DEVICES", "not set")
        raise UserError(
            f"{local_world} ranks on {socket.gethostname()}, but {visible} GPUs (CUDA_VISIBLE_DEVICES: {setting}); "
            f"request one GPU per rank, or set the device to cpu"
        )
    return f"cuda:{local_rank}"


def leave_process_group() -> None:
    """Leave the process group, if this process joined one."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
