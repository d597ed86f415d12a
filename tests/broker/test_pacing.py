"""The pacer lets no window overflow, and exits go first."""

from __future__ import annotations

import threading
import time

import pytest

from broker.pacing import Paced, Pacer
from config import SystemClock


def test_a_window_is_never_overfull() -> None:
    pacer = Pacer({"orders": 20.0}, {}, SystemClock())
    sent: list[float] = []
    lock = threading.Lock()

    def work() -> None:
        for _ in range(6):
            pacer.wait("orders")
            with lock:
                sent.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sent.sort()
    assert all(later - first > 0.95 for first, later in zip(sent, sent[20:], strict=False))


def test_exits_overtake_those_that_wait() -> None:
    pacer = Pacer({"orders": 2.0}, {}, SystemClock())
    pacer.wait("orders")
    pacer.wait("orders")
    order: list[str] = []

    def work(name: str, urgent: bool) -> None:
        pacer.wait("orders", urgent=urgent)
        order.append(name)

    entry = threading.Thread(target=work, args=("entry", False))
    entry.start()
    time.sleep(0.1)
    leaving = threading.Thread(target=work, args=("exit", True))
    leaving.start()
    entry.join()
    leaving.join()
    assert order == ["exit", "entry"]


def test_too_long_a_wait_is_refused_before_anything_is_sent() -> None:
    pacer = Pacer({"quotes": 1.0}, {}, SystemClock())
    pacer.wait("quotes")
    begun = time.monotonic()
    with pytest.raises(Paced) as refused:
        pacer.wait("quotes", limit=0.2)
    assert time.monotonic() - begun < 0.2
    assert 0 < refused.value.after <= 1.1


def test_a_minute_counts_beside_a_second() -> None:
    pacer = Pacer({"x": 100.0}, {"x": 3}, SystemClock())
    for _ in range(3):
        pacer.wait("x")
    with pytest.raises(Paced):
        pacer.wait("x", limit=0.5)


def test_classes_do_not_hold_each_other_up() -> None:
    pacer = Pacer({"quotes": 1.0, "default": 50.0}, {}, SystemClock())
    pacer.wait("quotes")
    begun = time.monotonic()
    pacer.wait("orders")
    assert time.monotonic() - begun < 0.1
