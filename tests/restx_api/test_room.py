"""Orders that wait for a broker leave threads for everybody else."""

from __future__ import annotations

import threading
from pathlib import Path

from domain.outcomes import Accepted
from restx_api.door import KEPT_FOR_READS
from tests.restx_api.desk import ORDER, Desk


def test_while_orders_wait_the_next_is_told_so_and_reads_go_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, web_threads=KEPT_FOR_READS + 1)
    reached, answered = threading.Event(), threading.Event()

    def slow() -> Accepted:
        reached.set()
        answered.wait(10)
        return Accepted("B9")

    desk.world.script.answers = [slow]
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(desk.post("/placeorder", ORDER).status_code))
    waiting.start()
    assert reached.wait(10)
    refused = desk.post("/placeorder", ORDER)
    assert (refused.status_code, len(desk.world.script.sent)) == (503, 1)
    assert desk.post("/ping", {}).status_code == 200
    answered.set()
    waiting.join()
    assert answers == [200]
    assert desk.post("/placeorder", ORDER).status_code == 200
    desk.close()
