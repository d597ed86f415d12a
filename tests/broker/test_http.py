"""The HTTP client: one send, a kept connection, caps, and nothing followed anywhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import http
from broker.http import Call, HttpClient, NoAnswer, NotSent
from broker.pacing import Paced, Pacer
from config import SystemClock
from tests.simulators.faults import Fault, FaultPlan
from tests.simulators.transport import Answer, HttpServer, Request


class Server:
    """A server on a thread, which counts connections and does as the plan says."""

    def __init__(self) -> None:
        self.plan = FaultPlan()
        self.peers: set[str] = set()
        self.seen: list[Request] = []
        self.answer = Answer(200, b'{"ok": true}')
        self._loop = asyncio.new_event_loop()
        self._http = HttpServer(self._handle, self._pick)
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        ready.wait(5)
        self.url = f"http://127.0.0.1:{self.port}/x"

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self.port = self._loop.run_until_complete(self._http.start())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._http.stop())

    async def _handle(self, request: Request) -> Answer:
        self.seen.append(request)
        return self.answer

    def _pick(self, request: Request) -> Fault | None:
        return self.plan.pick("any")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def client() -> Iterator[HttpClient]:
    made = HttpClient(Pacer({}, {}, SystemClock()), SystemClock())
    yield made
    made.close()


def get(server: Server, **more: object) -> Call:
    return Call(op="get", method="GET", url=server.url, **more)  # type: ignore[arg-type]


def test_query_names_may_repeat_and_are_encoded(server: Server, client: HttpClient) -> None:
    reply = client.send(get(server, query=[("i", "NSE:M&M"), ("i", "NSE:NIFTY 50")]))
    assert reply.json() == {"ok": True}
    assert server.seen[0].query == [("i", "NSE:M&M"), ("i", "NSE:NIFTY 50")]


def test_a_refused_connection_was_not_sent(client: HttpClient) -> None:
    with pytest.raises(NotSent):
        client.send(Call(op="x", method="GET", url="http://127.0.0.1:9/x"))


def test_an_unknown_host_was_not_sent(client: HttpClient) -> None:
    with pytest.raises(NotSent):
        client.send(Call(op="x", method="GET", url="http://nowhere.invalid/x"))


@pytest.mark.parametrize("kind", ["drop_after_accept", "drop_before_accept", "cut", "timeout"])
def test_whatever_breaks_after_connecting_is_no_answer(
    server: Server, client: HttpClient, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.3)
    server.plan.fail_next(kind)
    with pytest.raises(NoAnswer) as failure:
        client.send(get(server, headers={"Authorization": "token secret-token"}))
    assert "secret-token" not in repr(failure.value)


def test_redirects_are_answers(server: Server, client: HttpClient) -> None:
    server.plan.fail_next("redirect", location=server.url)
    assert client.send(get(server)).status == 302
    assert len(server.seen) == 1


def test_a_body_above_the_cap_is_no_answer(
    server: Server, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "BODY_BYTES", 1000)
    server.answer = Answer(200, b"x" * 2000)
    with pytest.raises(NoAnswer, match="large"):
        client.send(get(server))


def test_a_bomb_is_cut_off_by_its_unfolded_size(server: Server, client: HttpClient) -> None:
    server.plan.fail_next("bomb")
    with pytest.raises(NoAnswer, match="large"):
        client.send(get(server))


def test_a_drip_that_lasts_too_long_is_no_answer(
    server: Server, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "WHOLE_SECONDS", 0.3)
    server.answer = Answer(200, b"x" * 500)
    server.plan.fail_next("trickle", rate=100)
    with pytest.raises(NoAnswer, match="slow"):
        client.send(get(server))


def test_a_download_is_whole_or_nothing(server: Server, client: HttpClient, tmp_path: Path) -> None:
    server.answer = Answer(200, b"a,b\n" * 50_000, "text/csv")
    steps: list[tuple[int, int]] = []
    client.download(get(server), tmp_path / "m.csv", lambda done, total: steps.append((done, total)))
    assert (tmp_path / "m.csv").stat().st_size == 200_000
    assert steps[-1] == (200_000, 200_000) and len(steps) > 3
    server.plan.fail_next("cut")
    with pytest.raises(NoAnswer):
        client.download(get(server), tmp_path / "m.csv", lambda *_: None)


def test_a_paced_call_that_would_wait_too_long_is_not_sent(server: Server) -> None:
    client = HttpClient(Pacer({"slow": 0.01}, {}, SystemClock()), SystemClock())
    client.send(get(server, kind="slow"))
    with pytest.raises(Paced):
        client.send(get(server, kind="slow"))
    assert len(server.seen) == 1
    client.close()


def test_retry_after_is_read_and_bounded(server: Server, client: HttpClient) -> None:
    server.answer = Answer(429, b"", headers={"Retry-After": "4000"})
    assert client.send(get(server)).retry_after == 60
    server.answer = Answer(429, b"", headers={"Retry-After": "soon"})
    assert client.send(get(server)).retry_after == 0
