"""Distributed training: sums and batch norm over two processes (gloo)."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import distributed, nn

from shapebias.errors import UserError
from shapebias.networks.sync_batch_norm import synchronize_batch_norm
from shapebias.training.distributed import World, join_process_group, rank_device


def in_rank(rank: int, folder: Path, work: Callable[[World], Any]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    torch.save(work(World(rank, 2)), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def over_two_ranks(work: Callable[[World], Any], folder: Path) -> list[Any]:
    """Return the results of `work` in two processes."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=in_rank, args=(rank, folder, work)) for rank in (0, 1)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


def test_sums_are_over_all_ranks(tmp_path):
    assert over_two_ranks(lambda world: world.sum(torch.tensor([1.0, world.rank])).tolist(), tmp_path) == [[2, 1]] * 2
    assert World().sum(torch.tensor([3.0])).tolist() == [3]


NORMS = {"1d": (nn.BatchNorm1d, (6, 5)), "2d": (nn.BatchNorm2d, (6, 5, 4, 4)), "timm": (BatchNormAct2d, (6, 5, 4, 4))}


@pytest.mark.parametrize("kind", NORMS)
def test_batch_norm_over_two_ranks_equals_batch_norm_of_the_full_batch(kind, tmp_path):
    layer, shape = NORMS[kind]

    def make_network_and_images() -> tuple[nn.Module, torch.Tensor]:
        torch.manual_seed(0)
        network = nn.Sequential(layer(5)).train()
        nn.init.normal_(network.get_parameter("0.weight"))
        return network, torch.randn(shape)

    def work(world: World) -> tuple[torch.Tensor, ...]:
        network, images = make_network_and_images()
        out = synchronize_batch_norm(network, "cpu")(images[2 * world.rank : 2 + 4 * world.rank])
        return out.detach(), network.get_buffer("0.running_mean"), network.get_buffer("0.running_var")

    network, images = make_network_and_images()
    out = network(images).detach()
    parts = over_two_ranks(work, tmp_path)
    torch.testing.assert_close(torch.cat([outputs for outputs, *_ in parts]), out)
    for _, mean, variance in parts:
        torch.testing.assert_close(mean, network.get_buffer("0.running_mean"))
        torch.testing.assert_close(variance, network.get_buffer("0.running_var"))


def test_batch_norm_without_weights_and_statistics_normalizes_over_two_ranks(tmp_path):
    images = torch.tensor([[1.0], [2.0], [3.0], [6.0]])  # mean 3, variance (4 + 1 + 0 + 9) / 4

    def work(world: World) -> torch.Tensor:
        network = nn.Sequential(nn.BatchNorm1d(1, eps=0, affine=False, track_running_stats=False)).train()
        return synchronize_batch_norm(network, "cpu")(images[2 * world.rank : 2 + 2 * world.rank])

    torch.testing.assert_close(torch.cat(over_two_ranks(work, tmp_path)), (images - 3) / 3.5**0.5)


def test_gpus_have_torch_s_own_batch_norm_over_ranks():
    layer = synchronize_batch_norm(nn.Sequential(nn.BatchNorm2d(3)), "cuda:0").get_submodule("0")
    assert isinstance(layer, nn.SyncBatchNorm) and layer.num_features == 3


def test_gradients_of_batch_norm_over_two_ranks_equal_those_of_the_full_batch(tmp_path):
    torch.manual_seed(0)
    images, weights = torch.randn(6, 3, 2, 2), torch.randn(6, 3, 2, 2)

    def gradient(part: slice, across: bool) -> torch.Tensor:
        network: nn.Module = nn.Sequential(nn.BatchNorm2d(3)).train()
        network = synchronize_batch_norm(network, "cpu") if across else network
        own = images[part].clone().requires_grad_()
        (network(own).pow(3) * weights[part]).sum().backward()
        assert own.grad is not None
        return own.grad

    parts = over_two_ranks(lambda world: gradient(slice(2) if world.is_first else slice(2, 6), True), tmp_path)
    torch.testing.assert_close(torch.cat(parts), gradient(slice(6), False), rtol=1e-4, atol=1e-5)


def test_each_rank_gets_its_own_gpu_or_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [rank_device("cuda", rank, 2) for rank in (0, 1)] == ["cuda:0", "cuda:1"]
    assert rank_device("cpu", 5, 8) == "cpu"
    with pytest.raises(UserError, match=r"3 ranks on .* but 2 GPUs"):
        rank_device("cuda", 2, 3)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("SLURM_GPUS_PER_TASK", "1")  # each rank sees only its own GPU
    assert rank_device("cuda", 1, 2) == "cuda:0"


def test_a_single_process_is_rank_0_of_1(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "SUBMITIT_EXECUTOR", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    assert join_process_group("cpu") == World(0, 1, "cpu")
    with pytest.raises(UserError, match="ranks is 2"):
        join_process_group("cpu", world_size=2)
