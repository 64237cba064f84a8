"""Parsing sinfo's output. Tests on a real cluster: tests/slurm."""

import math

import pytest
from helpers import stand_in

from shapebias.cluster.partitions import cap, list_limits, parse_limits, parse_minutes

SINFO = """\
main*|2-00:00:00|512000+
main*|2-00:00:00|128000
debug|30:00|16000
long|infinite|16000
"""
LIMITS = parse_limits(SINFO)


def test_a_partition_s_memory_is_that_of_its_largest_node():
    main = {"runtime": 2880, "mem_mb": 512000}
    assert {
        "": main,
        "main": main,
        "debug": {"runtime": 30, "mem_mb": 16000},
        "long": {"runtime": math.inf, "mem_mb": 16000},
    } == LIMITS


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("1:00", 1), ("90:00", 90), ("12:30:00", 750), ("2-12:30:00", 3630), ("infinite", math.inf)],
)
def test_time_limits_of_sinfo_are_parsed(text, minutes):
    assert parse_minutes(text) == minutes


def test_a_job_requests_no_more_time_than_its_partition_allows():
    assert cap(80, "runtime", "debug", LIMITS) == 30 and cap(20, "runtime", "debug", LIMITS) == 20
    assert cap(9999, "runtime", "", LIMITS) == 2880 and cap(9999, "runtime", "long", LIMITS) == 9999
    assert cap(9999, "runtime", "nowhere", LIMITS) == 9999


def test_a_job_requests_no_more_memory_than_the_largest_node_has():
    assert cap(900_000, "mem_mb", "", LIMITS) == 512_000 and cap(900_000, "mem_mb", "debug", LIMITS) == 16_000
    assert cap(1000, "mem_mb", "debug", LIMITS) == 1000 and cap(900_000, "mem_mb", "nowhere", LIMITS) == 900_000


def test_without_a_working_sinfo_there_are_no_limits(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_limits() == {}
    stand_in(tmp_path, "sinfo", "exit 1")
    assert list_limits() == {}
