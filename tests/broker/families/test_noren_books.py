"""Noren's positions: what a row does not say is not known, and a sum over it is not made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from domain.errors import BadResponse
from domain.model import Position
from tests.broker.contract.world import World
from tests.simulators import noren_wire


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(request.param)
    yield made
    made.close()


def hold(world: World, monkeypatch: pytest.MonkeyPatch, *absent: str) -> Position:
    """One open position whose row lacks some fields."""
    world.placed(world.request(rests=False))
    whole = noren_wire.position_row

    def row(*given: Any) -> dict[str, str]:
        return {name: value for name, value in whole(*given).items() if name not in absent}

    monkeypatch.setattr(noren_wire, "position_row", row)
    (held,) = world.broker.fetch_positions()
    assert held.quantity == 1
    return held


@pytest.mark.parametrize("world", ["shoonya", "flattrade"], indirect=True)
def test_profit_that_a_row_lacks_is_not_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held = hold(world, monkeypatch, "rpnl", "urmtom")
    assert held.realised is None and held.unrealised is None


@pytest.mark.parametrize("absent", ["rpnl", "urmtom"])
@pytest.mark.parametrize("world", ["flattrade"], indirect=True)
def test_a_days_profit_that_lacks_a_part_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch, absent: str
) -> None:
    """A stop at a day's loss would take an unknown part for none."""
    hold(world, monkeypatch, absent)
    with pytest.raises(BadResponse, match="profit"):
        world.broker.fetch_funds()


@pytest.mark.parametrize("world", ["shoonya"], indirect=True)
def test_a_row_without_its_quantity_is_not_flat(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.placed(world.request(rests=False))
    whole = noren_wire.position_row
    monkeypatch.setattr(noren_wire, "position_row", lambda *given: {**whole(*given), "netqty": ""})
    with pytest.raises(BadResponse):
        world.broker.fetch_positions()
