"""Signals that arrive while a library runs that would swallow them."""

import os
import signal
import threading

import pytest

from shapebias.signals import deferred_signals


def test_a_signal_waits_until_the_end_of_the_block():
    steps = []
    with pytest.raises(KeyboardInterrupt), deferred_signals():
        os.kill(os.getpid(), signal.SIGINT)
        steps.append("the block goes on")
    assert steps == ["the block goes on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_block_is_passed_on_unless_a_signal_arrived():
    with pytest.raises(ValueError, match="mine"), deferred_signals():
        raise ValueError("mine")
    with pytest.raises(KeyboardInterrupt), deferred_signals():
        os.kill(os.getpid(), signal.SIGINT)
        raise ValueError("of a library that met the signal")


def test_an_own_handler_gets_the_signal_once():
    received, before = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        with deferred_signals():
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)
            assert received == []
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGTERM]


def test_other_threads_may_use_the_block():
    def work() -> None:
        with deferred_signals():
            done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
