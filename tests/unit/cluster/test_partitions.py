"""What sinfo prints, parsed, and refusals, explained. On a real cluster: tests/slurm."""

import pytest
from helpers import stand_in

from shapebias.cluster import partitions
from shapebias.cluster.partitions import Partition, explain_refusal, limit, parse_limit, parse_partitions

SINFO = """\
main*|2-00:00:00|512000+
main*|2-00:00:00|128000
debug|30:00|16000
long|infinite|16000
"""


def test_partitions_are_read_with_their_largest_node():
    assert parse_partitions(SINFO) == [
        Partition("main", True, 2880, 512000),
        Partition("debug", False, 30, 16000),
        Partition("long", False, 0, 16000),
    ]


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
def test_time_limits_are_read_as_sinfo_prints_them(text, minutes):
    assert parse_limit(text) == minutes


def test_a_job_asks_for_no_more_time_than_its_partition_grants():
    here = parse_partitions(SINFO)
    assert limit("runtime", 80, "debug", here) == 30 and limit("runtime", 20, "debug", here) == 20
    assert limit("runtime", 9999, "", here) == 2880 and limit("runtime", 9999, "long", here) == 9999
    assert limit("runtime", 9999, "nowhere", here) == 9999


def test_a_job_asks_for_no_more_memory_than_the_largest_node_of_its_partition_has():
    here = parse_partitions(SINFO)
    assert limit("mem_mb", 900_000, "", here) == 512_000 and limit("mem_mb", 900_000, "debug", here) == 16_000
    assert limit("mem_mb", 1000, "debug", here) == 1000 and limit("mem_mb", 900_000, "nowhere", here) == 900_000


def test_a_refusal_names_the_request_the_nodes_and_where_to_change_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    stand_in(tmp_path, "sinfo", "echo 'main*  8 CPUs  gpu:a100:2'")
    resources = {"gres": "gpu:8", "nodes": 2, "mem_mb": 64000, "runtime": 0, "_cores": 4}
    message = "allocation failure: Requested node\n configuration is not available"
    assert explain_refusal("train", resources, message).splitlines() == [
        "rule train asks for nodes=2, mem_mb=64000, gres=gpu:8: "
        "allocation failure: Requested node configuration is not available",
        "    main*  8 CPUs  gpu:a100:2",
        "  Change that in the profile (default-resources for all rules, set-resources for train), or `gpus`, `ranks`, "
        "`nodes` in the config.",
    ]


def test_a_refused_account_is_explained_by_the_users_accounts(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    stand_in(tmp_path, "sacctmgr", "echo lab normal")
    text = explain_refusal("train", {"slurm_account": "nobody"}, "Invalid account or account/partition combination")
    assert "slurm_account=nobody" in text and "    lab normal" in text


def test_where_slurm_is_not_there_are_no_partitions(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert partitions.list_partitions() == []
