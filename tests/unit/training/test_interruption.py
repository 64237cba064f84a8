"""Leaving early: at a signal, or shortly before the time is up."""

import os
import signal
import time

import pytest

from shapebias.training.interruption import TRY_AGAIN, Stop


@pytest.fixture(autouse=True)
def outside_of_slurm(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.setattr(time, "time", lambda: 1000.0)


@pytest.mark.parametrize(("minutes", "left"), [(100, 60.0), (10, 60.0), (1, 6.0)])
def test_a_run_leaves_a_minute_before_its_limit_or_a_tenth_of_a_short_one(minutes, left):
    assert Stop(minutes).leave_at == pytest.approx(1000 + 60 * minutes - left)


def test_the_end_that_slurm_tells_is_a_limit_too(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "4600")
    assert Stop().leave_at == 4600 - 60
    assert Stop(10).leave_at == 1000 + 600 - 60


def test_without_a_limit_a_run_is_asked_to_leave_by_signals_alone(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e12)
    with Stop() as stop:
        assert not stop.requested()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # from the scheduler and from torchrun
        assert stop.requested() and (stop.reason, stop.status) == ("SIGTERM", 143)


def test_submitit_s_signal_and_the_end_of_the_time_ask_for_another_try(monkeypatch):
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGUSR2)
        assert stop.requested() and stop.status == TRY_AGAIN == 75
    late = Stop(1)
    monkeypatch.setattr(time, "time", lambda: 1060.0)
    assert late.requested() and late.status == TRY_AGAIN


def test_a_second_interruption_ends_it_on_the_spot_and_handlers_are_put_back():
    before = signal.getsignal(signal.SIGINT)
    with Stop() as stop, pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested() and stop.status == 130
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
