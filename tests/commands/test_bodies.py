"""Bodies that do not come hold a part of the threads, never all of them."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator

import pytest
import requests
from requests.adapters import HTTPAdapter
from werkzeug.exceptions import TooManyRequests

from bench.install import Install
from commands.bodies import Waits
from tests.installs import copied

THREADS = 8


def test_one_address_holds_half_and_all_together_leave_some() -> None:
    waits = Waits(THREADS)
    with contextlib.ExitStack() as held:
        for _ in range(THREADS // 2):
            held.enter_context(waits.one("a"))
        with pytest.raises(TooManyRequests), waits.one("a"):
            pass
        for _ in range(THREADS // 2 - 1):
            held.enter_context(waits.one("b"))
        with pytest.raises(TooManyRequests), waits.one("c"):
            pass
    with waits.one("a"), waits.one("c"):
        pass


def test_a_read_that_fails_counts_no_longer() -> None:
    waits = Waits(2)
    with pytest.raises(OSError, match="gone"), waits.one("a"):
        raise OSError("gone")
    with waits.one("a"):
        pass


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    home = copied(tmp_path_factory.mktemp("bodies") / "install")
    with Install(home, WEB_THREADS=str(THREADS)) as made:
        yield made


class _From(HTTPAdapter):
    """Connections from another address of this machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *given: object, **named: object) -> None:
        super().init_poolmanager(*given, source_address=(self._address, 0), **named)  # type: ignore[arg-type]


@pytest.mark.journey
@pytest.mark.timeout(120)
@pytest.mark.xdist_group("slow bodies")
def test_a_form_is_read_whole(install: Install) -> None:
    """A form's reader asks for all there is, without a size."""
    with requests.Session() as browser:
        page = browser.get(f"{install.http}/login", timeout=10).text
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
        assert token is not None
        form = {"csrf_token": token[1], "username": "nobody", "password": "wrong"}
        answer = browser.post(f"{install.http}/login", data=form, timeout=10)
    assert answer.status_code == 401 and "nobody" in answer.text


@pytest.mark.journey
@pytest.mark.timeout(120)
@pytest.mark.xdist_group("slow bodies")
def test_a_body_is_read_whole_by_those_that_name_no_size(install: Install) -> None:
    """As webhooks do: the server's own stream takes no negative one."""
    nobody = "00000000-0000-4000-8000-000000000000"
    answer = requests.post(f"{install.http}/strategy/webhook/{nobody}", json={"symbol": "INFY"}, timeout=10)
    assert answer.status_code == 404 and answer.json()


@pytest.mark.journey
@pytest.mark.timeout(120)
@pytest.mark.xdist_group("slow bodies")
def test_a_crowd_of_bodies_that_stand_still_is_told_so_and_stops_nobody_else(install: Install) -> None:
    host, port = install.address
    head = f"POST /api/v1/ping HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with contextlib.ExitStack() as held:
        crowd = [held.enter_context(socket.create_connection((host, port))) for _ in range(4 * THREADS)]
        for one in crowd:
            one.sendall(head + b"1\r\n{\r\n")
        refused = []
        for one in crowd:
            one.settimeout(1.0)
            with contextlib.suppress(TimeoutError):
                refused.append(one.recv(4096))
        assert len(refused) == len(crowd) - THREADS // 2
        assert all(b" 429 " in answer and b"Rate limit exceeded" in answer for answer in refused)
        assert requests.get(f"{install.http}/login", timeout=10).status_code == 200
        with requests.Session() as other:
            other.mount("http://", _From("127.0.0.2"))
            answer = other.post(f"{install.http}/api/v1/ping", json={"apikey": install.key}, timeout=10)
        assert answer.json()["status"] == "success"
    end = time.monotonic() + 20
    while (
        again := requests.post(f"{install.http}/api/v1/ping", json={"apikey": install.key}, timeout=10)
    ).status_code != 200:
        assert time.monotonic() < end, again.text
        time.sleep(0.1)
