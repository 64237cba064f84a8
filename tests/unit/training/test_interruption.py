"""Early end of a run: after a signal, or shortly before its time limit."""

import os
import signal
import time

import pytest

from shapebias.training.interruption import RETRY_STATUS, StopSignal


@pytest.fixture(autouse=True)
def outside_of_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.setattr(time, "time", lambda: 1000.0)


@pytest.mark.parametrize(("minutes", "margin"), [(100, 60.0), (10, 60.0), (1, 6.0)])
def test_a_run_stops_a_minute_or_a_tenth_of_a_short_limit_before_its_limit(minutes, margin):
    assert StopSignal(minutes).stop_at == pytest.approx(1000 + 60 * minutes - margin)


def test_slurm_s_end_time_is_a_limit_too(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "4600")
    assert StopSignal().stop_at == 4600 - 60
    assert StopSignal(10).stop_at == 1000 + 600 - 60


def test_without_a_limit_only_signals_stop_a_run(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e12)
    with StopSignal() as stop:
        assert not stop.requested()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # from the scheduler and from torchrun
        assert stop.requested() and (stop.reason, stop.status) == ("SIGTERM", 143)


def test_submitit_s_signal_and_the_time_limit_request_a_retry(monkeypatch):
    with StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert stop.requested() and stop.status == RETRY_STATUS == 75
    late = StopSignal(1)
    monkeypatch.setattr(time, "time", lambda: 1060.0)
    assert late.requested() and late.status == RETRY_STATUS


def test_a_second_ctrl_c_ends_the_run_at_once_and_handlers_are_restored():
    before = signal.getsignal(signal.SIGINT)
    with StopSignal() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested() and stop.status == 130
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
