"""What Slurm's commands say, read; what it refuses, explained. Against a real cluster: tests/slurm."""

import pytest

from shapebias import slurm
from shapebias.slurm import Nodes, Partition, Request

SINFO = """\
main*|2-00:00:00|3|64+|512000+|gpu:a100:4(S:0-1),nvme:1
main*|2-00:00:00|2|32|128000|(null)
debug|30:00|1|8|16000|gpu:2
long|infinite|1|8|16000|gpu
"""


def test_partitions_are_read_with_all_kinds_of_their_nodes():
    main, debug, longer = slurm.partitions(SINFO)
    assert main == Partition("main", True, 2880, (Nodes(3, 64, 512000, {"a100": 4}), Nodes(2, 32, 128000, {})))
    assert (debug.default, debug.minutes, debug.nodes[0].gpus) == (False, 30, {"": 2})
    assert (longer.minutes, longer.nodes[0].gpus) == (0, {"": 1})


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("30", 30),
        ("90:30", 90.5),
        ("12:00:00", 720),
        ("1-00", 1440),
        ("2-12:30", 3630),
        ("1-00:00:30", 1440.5),
        ("infinite", 0),
    ],
)
def test_time_limits_are_read_as_sbatch_writes_them(text, minutes):
    assert slurm.limit(text) == minutes


@pytest.mark.parametrize(
    ("request_", "said", "named"),
    [
        (
            Request("train", partition="gpus"),
            "sbatch: error: invalid partition specified: gpus\nallocation failure: Invalid partition name specified",
            ["slurm_partition 'gpus'", "main (the default), debug, long", "default-resources"],
        ),
        (
            Request("train", constraint="fast"),
            "allocation failure: Invalid feature specification",
            ["constraint 'fast'", "sinfo"],
        ),
        (
            Request("train", gres="gpu:8", nodes=2, tasks_per_node=8, cpus=9, memory=64000),
            "allocation failure: Requested node configuration is not available",
            ["2 × (72 CPUs, 64000 MB, gpu:8)", "main: 3 with 64 CPUs, 512000 MB, 4 GPUs a100", "`ranks`, `nodes`"],
        ),
        (Request("scan"), "allocation failure: Job violates\n accounting policy", ["rule scan: allocation failure"]),
    ],
)
def test_a_refusal_is_explained_with_the_setting_to_change(request_, said, named):
    text = slurm.refusal(request_, said, slurm.partitions(SINFO), "me")
    for words in named:
        assert words in text


def test_a_time_limit_beyond_the_partition_s_is_named_since_slurm_would_let_the_job_wait_for_ever():
    here = slurm.partitions(SINFO)
    assert "train asks for 3000 minutes, partition main grants 2880" in slurm.too_long(
        Request("train", minutes=3000), here
    )
    assert "partition debug grants 30" in slurm.too_long(Request("scan", partition="debug", minutes=60), here)
    assert slurm.too_long(Request("train", minutes=2880), here) == ""
    assert slurm.too_long(Request("train", partition="long", minutes=99999), here) == ""


def test_a_retry_asks_for_no_more_time_than_its_partition_grants():
    here = slurm.partitions(SINFO)
    assert slurm.granted(80, "debug", here) == 30 and slurm.granted(20, "debug", here) == 20
    assert slurm.granted(9999, "", here) == 2880 and slurm.granted(9999, "long", here) == 9999
    assert slurm.granted(9999, "nowhere", here) == 9999


def test_a_retry_asks_for_no_more_memory_than_the_largest_node_of_its_partition_has():
    here = slurm.partitions(SINFO)
    assert slurm.largest(900_000, "", here) == 512_000 and slurm.largest(900_000, "debug", here) == 16_000
    assert slurm.largest(1000, "debug", here) == 1000 and slurm.largest(900_000, "nowhere", here) == 900_000


def test_an_account_that_is_refused_is_named_with_its_partition_or_as_not_set():
    said = "allocation failure: Invalid account or account/partition combination specified"
    text = slurm.refusal(Request("train", account="lab", partition="gpu"), said, [], "me")
    assert "slurm_account 'lab': refused to you in partition gpu" in text
    assert "slurm_account is not set" in slurm.refusal(Request("train"), said, [], "me")


def test_where_slurm_is_not_nothing_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm.partitions_here() == []
