"""The watcher outside: it hears of an install that works, and hears nothing of one that does not."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest

import config
from database import strategies as rows
from domain.errors import Unavailable
from domain.strategies import StrategyState, Wanted
from services.outside import VitalSign, ask
from tests.services.strategy_house import House


class Watcher:
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.away = False

    def __call__(self, url: str) -> None:
        if self.away:
            raise Unavailable("watch.example does not answer.")
        self.heard.append(url)


@pytest.fixture
def ports() -> Iterator[list[socket.socket]]:
    """A web server and a feed, as far as a connection shows."""
    opened = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield opened
    for one in opened:
        one.close()


def sign(house: House, ports: list[socket.socket], watcher: Watcher) -> VitalSign:
    url = "https://watch.example/secret-token"
    return VitalSign(house.parts.store, url, [one.getsockname() for one in ports], watcher)


def test_an_install_that_works_is_told_and_one_that_does_not_is_silent(
    house: House, ports: list[socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    watcher = Watcher()
    vital = sign(house, ports, watcher)
    strategy_id = house.add("print(1)")
    with caplog.at_level(logging.INFO):
        vital.beat()
        assert len(watcher.heard) == 1
        change = {"state": StrategyState.FAILED, "wanted": Wanted.AUTO}
        house.parts.store.write(lambda c: rows.change(c, strategy_id, **change))
        vital.beat()
        vital.beat()
        assert len(watcher.heard) == 1 and caplog.text.count("strategies that failed: s") == 1
        house.parts.store.write(lambda c: rows.change(c, strategy_id, wanted=Wanted.STOPPED))
        vital.beat()
        assert len(watcher.heard) == 2
        watcher.away = True
        vital.beat()
        assert "watcher outside was not reached" in caplog.text
        watcher.away = False
        ports[1].close()
        vital.beat()
    assert len(watcher.heard) == 2 and "the price feed does not answer" in caplog.text
    assert "secret-token" not in caplog.text


def test_words_about_a_service_name_its_host_alone() -> None:
    with pytest.raises(Unavailable) as raised:
        ask("http://127.0.0.1:9/secret-token")
    assert "secret-token" not in str(raised.value)


def test_nothing_is_told_where_nothing_is_set() -> None:
    assert config.variables()["HEARTBEAT_URL"].default == ""
