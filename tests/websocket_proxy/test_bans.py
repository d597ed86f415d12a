"""Addresses that an administrator banned: the feed's port does not serve them either."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from database import migrate
from database.engine import open_database
from services.bans import Bans
from tests.websocket_proxy.world import World

FROM = {"X-Forwarded-For": "203.0.113.7"}
BANNED = (4403, "this address is not served")


async def test_a_banned_address_is_turned_away_before_it_says_anything(world: World) -> None:
    world.bans.wanted = {"203.0.113.7"}
    assert await world.until(lambda: "203.0.113.7" in world.bans.known)
    looks = world.bans.looks
    for _ in range(5):
        talker = await world.connect(FROM)
        assert await talker.closed() == BANNED
    assert not world.server.clients and world.bans.looks - looks <= 2
    other = await world.client()
    assert (await other.ask(action="ping"))["type"] == "pong"
    world.bans.wanted = set()
    assert await world.until(lambda: not world.bans.known)
    again = await world.connect(FROM)
    assert (await again.ask(action="ping"))["type"] == "pong"


async def test_who_is_connected_leaves_when_their_address_is_banned(world: World) -> None:
    there, other = await world.connect(FROM), await world.client()
    world.bans.wanted = {"203.0.113.7"}
    assert await there.closed(seconds=3) == BANNED
    assert (await other.ask(action="ping"))["type"] == "pong"


async def test_bans_that_cannot_be_read_leave_the_last_ones_in_force(world: World) -> None:
    world.bans.wanted = {"203.0.113.7"}
    assert await world.until(lambda: bool(world.bans.known))
    real, broken = world.bans.look, []

    def look() -> bool:
        broken.append(1)
        raise OSError("disk")

    world.bans.look = look  # type: ignore[method-assign]
    assert await world.until(lambda: bool(broken))
    assert await (await world.connect(FROM)).closed() == BANNED
    world.bans.look, world.bans.wanted = real, set()  # type: ignore[method-assign]
    assert await world.until(lambda: not world.bans.known)


def test_another_processes_ban_is_known_after_a_look(tmp_path: Path) -> None:
    """What the security page writes is what the stream role reads; a ban ends by itself too."""
    migrate.upgrade_all("", tmp_path)
    clock: Any = SimpleNamespace(now=lambda: datetime(2026, 11, 24, tzinfo=UTC), monotonic=lambda: 0.0)
    stores = [open_database("", "platform", tmp_path) for _ in range(2)]
    page, stream = (Bans(store, clock) for store in stores)
    admin: Any = SimpleNamespace(address="10.0.0.1", username="asha")
    assert not stream.look()
    page.add(admin, "203.0.113.0/24", "", None)
    assert not stream.covers("203.0.113.7")
    assert stream.look() and stream.covers("203.0.113.7") and stream.covers("::ffff:203.0.113.7")
    assert not stream.look() and not stream.covers("198.51.100.1") and not stream.covers("nonsense")
    page.lift("203.0.113.0/24")
    assert stream.look() and not stream.covers("203.0.113.7")
    for store in stores:
        store.close()
