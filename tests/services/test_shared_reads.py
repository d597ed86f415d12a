"""One reading for those who ask while it is wanted, and never an old one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from services.shared_reads import SharedReads


class Desk:
    """A slow reading that can be let go, and threads that ask for it."""

    def __init__(self) -> None:
        self.reads: SharedReads[int] = SharedReads()
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.count = 0
        self.heard: list[int | str] = []
        self.threads: list[threading.Thread] = []

    def slow(self) -> int:
        self.count += 1
        number = self.count
        self.begun.release()
        assert self.may_end.acquire(timeout=20)
        return number

    def fails(self) -> int:
        self.slow()
        raise RuntimeError("no book")

    def ask(self, read: Callable[[], int], times: int = 1, key: str = "one") -> None:
        def work() -> None:
            try:
                self.heard.append(self.reads.read(key, read))
            except (RuntimeError, SystemExit) as error:
                self.heard.append(str(error))

        made = [threading.Thread(target=work) for _ in range(times)]
        self.threads += made
        for thread in made:
            thread.start()

    def wait_for(self, waiting: int) -> None:
        while self.reads._lines["one"].waiting < waiting:
            threading.Event().wait(0.001)

    def end(self) -> None:
        for thread in self.threads:
            thread.join(20)


@pytest.mark.parametrize(("read", "told"), [("slow", 2), ("fails", "no book")])
def test_all_who_come_during_a_reading_share_the_next(read: str, told: int | str) -> None:
    desk = Desk()
    desk.ask(desk.slow)
    assert desk.begun.acquire(timeout=20)
    desk.ask(getattr(desk, read), times=12)
    desk.wait_for(13)
    desk.may_end.release(2)
    desk.end()
    assert desk.count == 2
    assert sorted(map(str, desk.heard)) == sorted(map(str, [1, *[told] * 12]))


def test_a_later_question_is_read_anew_and_nothing_is_kept() -> None:
    desk = Desk()
    desk.may_end.release(2)
    assert [desk.reads.read("one", desk.slow), desk.reads.read("one", desk.slow)] == [1, 2]
    assert desk.reads._lines == {}


def test_another_key_waits_for_nobody() -> None:
    desk = Desk()
    desk.ask(desk.slow)
    assert desk.begun.acquire(timeout=20)
    assert desk.reads.read("two", lambda: 7) == 7
    desk.may_end.release()
    desk.end()


def test_a_reading_that_was_cut_off_is_nobodys_answer() -> None:
    desk = Desk()

    def dies() -> int:
        desk.slow()
        raise SystemExit("cut off")

    desk.ask(desk.slow)
    assert desk.begun.acquire(timeout=20)
    desk.ask(dies)
    desk.wait_for(2)
    desk.ask(desk.slow)
    desk.wait_for(3)
    desk.may_end.release(3)
    desk.end()
    assert desk.heard.count(1) == 1 and len(desk.heard) == 3
