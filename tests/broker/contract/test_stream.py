"""The stream: every mode, every exchange, and it comes back whole from whatever happens to a socket."""

from __future__ import annotations

import asyncio

import pytest

from domain.model import QUOTE_ONLY, Exchange, OrderState, StreamMode
from tests.broker.contract.world import World

NAMES = {StreamMode.LTP: "ltp", StreamMode.QUOTE: "quote", StreamMode.DEPTH: "depth"}


@pytest.fixture(autouse=True)
def _has_a_stream(world: World) -> None:
    if world.cls.stream is None:
        pytest.skip("not declared")


@pytest.mark.parametrize("mode", StreamMode)
async def test_a_mode_brings_what_it_names(world: World, mode: StreamMode) -> None:
    if NAMES[mode] not in world.can.streams:
        pytest.skip("not declared")
    one = world.instrument()
    async with world.stream() as feed:
        feed.want((one, mode))
        await feed.until(lambda: feed.ticks)
        world.tick(one, 1512.5)
        tick = await feed.tick_of(one, 1512.5)
        assert (tick.exchange, tick.mode >= mode) == ("NSE", True)
        now = world.clock.now().timestamp() * 1000
        assert abs(tick.timestamp - now) < 10_000 and abs(tick.ltt - now) < 10_000
        if mode >= StreamMode.QUOTE:
            assert (tick.open, tick.high, tick.low) == (1500.0, 1512.5, 1500.0)
            assert tick.close == 1485.0 and tick.volume == 1
        if mode is StreamMode.DEPTH:
            assert [level.price for level in tick.bids] == [1512.4, 1512.3, 1512.2, 1512.1, 1512.0]
            assert [level.price for level in tick.asks] == [1512.6, 1512.7, 1512.8, 1512.9, 1513.0]
            assert (tick.bid, tick.ask, tick.bid_quantity) == (1512.4, 1512.6, 1000)


async def test_every_exchange_ticks_in_its_own_spelling_and_scale(world: World) -> None:
    listed = [one for one in world.instruments.values() if one.exchange in world.can.exchanges]
    mode = StreamMode.QUOTE if "quote" in world.can.streams else StreamMode.LTP
    async with world.stream() as feed:
        feed.want(*((one, mode) for one in listed))
        wanted = {(one.exchange, one.symbol): float(world.last_price(one)) for one in listed}

        def all_seen() -> bool:
            return {(Exchange(t.exchange), t.symbol): t.last_price for t in feed.ticks} == wanted

        await feed.until(all_seen)


async def test_indices_have_a_day_and_no_depth(world: World) -> None:
    index = world.one_of(Exchange.NSE_INDEX)
    if index is None or Exchange.NSE_INDEX not in world.can.exchanges & QUOTE_ONLY:
        pytest.skip("not declared")
    async with world.stream() as feed:
        feed.want((index, StreamMode.DEPTH if "depth" in world.can.streams else StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        high = float(world.last_price(index)) + 5
        world.tick(index, high)
        tick = await feed.tick_of(index, high)
        assert (tick.open, tick.high, tick.low) == (high - 5, high, high - 5)
        assert tick.bid == tick.ask == 0


async def test_a_raised_mode_brings_more(world: World) -> None:
    if not {"ltp", "depth"} <= world.can.streams:
        pytest.skip("not declared")
    one = world.instrument()
    async with world.stream() as feed:
        feed.want((one, StreamMode.LTP))
        await feed.until(lambda: feed.ticks)
        feed.want((one, StreamMode.DEPTH))
        await feed.until(lambda: any(len(tick.bids) == 5 for tick in feed.ticks))


async def test_what_is_no_longer_wanted_stops(world: World) -> None:
    one, other = world.instrument(), world.instrument(symbol="TCS")
    async with world.stream() as feed:
        feed.want((one, StreamMode.QUOTE), (other, StreamMode.QUOTE))
        await feed.until(lambda: {t.symbol for t in feed.ticks} == {"INFY", "TCS"})
        feed.want((other, StreamMode.QUOTE))
        await asyncio.sleep(0.2)
        feed.ticks.clear()
        world.tick(one, 1520)
        world.tick(other, 3060)
        await feed.tick_of(other, 3060)
        assert {tick.symbol for tick in feed.ticks} == {"TCS"}


@pytest.mark.parametrize("code", [1000, 1006, 1011, 4401])
async def test_a_closed_socket_comes_back_with_everything(world: World, code: int) -> None:
    wants = [world.instrument(), world.instrument(symbol="TCS"), world.instrument(symbol="SBIN")]
    async with world.stream() as feed:
        feed.want(*((one, StreamMode.QUOTE) for one in wants))
        await feed.until(lambda: len({t.symbol for t in feed.ticks}) == 3)
        world.simulator.ws_close(code)
        await feed.until(lambda: "reconnecting" in feed.states)
        await feed.until(lambda: feed.states[-1] == "live")
        feed.ticks.clear()
        for one in wants:
            world.tick(one, world.last_price(one) + 5)
        await feed.until(lambda: len({t.symbol for t in feed.ticks}) == 3)


async def test_a_silent_socket_is_replaced(world: World) -> None:
    one = world.instrument()
    async with world.stream() as feed:
        type(feed.stream).silence = 0.4
        feed.want((one, StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        world.simulator.ws_silent()
        await feed.until(lambda: "reconnecting" in feed.states)
        world.simulator.ws_silent(False)
        type(feed.stream).silence = 30.0
        feed.ticks.clear()
        await feed.until(lambda: feed.states[-1] == "live")
        world.tick(one, 1533)
        await feed.tick_of(one, 1533)


async def test_a_feed_without_ticks_is_stale_and_recovers(world: World) -> None:
    one = world.instrument()
    async with world.stream() as feed:
        type(feed.stream).stale_after = 0.3
        type(feed.stream).silence = 0
        feed.want((one, StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        world.simulator.paused = True
        await feed.until(lambda: "stale" in feed.states)
        type(feed.stream).stale_after = 30.0
        world.simulator.paused = False
        world.tick(one, 1540)
        await feed.until(lambda: feed.states[-1] == "live")


@pytest.mark.parametrize(
    "frame", [b"\x00\x05\xff\xff\x01", b"", b"\xff" * 64, "{", "[]", "null", '{"t": 5}', "x" * 99]
)
async def test_garbage_does_no_harm(world: World, frame: bytes | str) -> None:
    one = world.instrument()
    async with world.stream() as feed:
        feed.want((one, StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        opened = set(world.simulator.sockets)
        world.simulator.ws_garbage(frame)
        world.tick(one, 1544)
        await feed.tick_of(one, 1544)
        assert {tick.last_price for tick in feed.ticks} == {1500, 1544}
        assert opened <= world.simulator.sockets


async def test_refused_tokens_end_as_expired(world: World) -> None:
    async with world.stream() as feed:
        feed.want((world.instrument(), StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        world.simulator.expire_tokens()
        world.simulator.ws_close(1006)
        await feed.until(lambda: feed.states[-1] == "expired")


async def test_prices_with_a_session_of_their_own_come_back_by_themselves(world: World) -> None:
    if not world.manifest.login.data_session:
        pytest.skip("one session for all")
    one, other = world.instrument(), world.instrument(symbol="TCS")
    async with world.stream() as feed:
        feed.stream.renew_data = world.renew_data
        feed.want((one, StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        world.simulator.requests.clear()
        world.simulator.expire_tokens("market")
        world.simulator.ws_close(1006)
        await feed.until(lambda: world.sent("subscribe"))
        await feed.until(lambda: feed.states[-1] == "live")
        world.tick(one, 1556)
        await feed.tick_of(one, 1556)
        assert world.sent("login") == 1 and "expired" not in feed.states

        world.simulator.expire_tokens("market")
        feed.want((one, StreamMode.QUOTE), (other, StreamMode.QUOTE))
        await feed.until(lambda: other.symbol in {tick.symbol for tick in feed.ticks})
        world.tick(one, 1557)
        await feed.tick_of(one, 1557)
        assert world.sent("login") == 2 and "expired" not in feed.states


async def test_new_tokens_go_on_without_a_gap(world: World) -> None:
    one = world.instrument()
    async with world.stream() as feed:
        feed.want((one, StreamMode.QUOTE))
        await feed.until(lambda: feed.ticks)
        tokens = world.log_in(**_fresh_code(world))
        await feed.stream.renew(world.session(tokens))
        world.tick(one, 1555)
        await feed.tick_of(one, 1555)


def _fresh_code(world: World) -> dict[str, str]:
    """A code that was not used yet, where codes are good for one login."""
    ask = [field.name for field in world.manifest.login.ask if field.name in ("request_token", "code")]
    return {name: world.simulator.call(world.simulator.new_code) for name in ask}


async def test_more_symbols_than_a_socket_holds_are_spread(world: World) -> None:
    wants = [one for one in world.instruments.values() if one.exchange is Exchange.NSE][:5]
    async with world.stream({"symbols_per_socket": 2, "sockets": 2}) as feed:
        feed.want(*((one, StreamMode.QUOTE) for one in wants))
        await feed.until(lambda: len({t.symbol for t in feed.ticks}) == 4)
        assert len(feed.stream.lines) == 2
        assert len(feed.stream.overflow) == 1


async def test_order_updates_arrive_by_themselves(world: World) -> None:
    if "orders" not in world.can.streams:
        pytest.skip("not declared")
    async with world.stream() as feed:
        await feed.until(lambda: [s for s in world.simulator.sockets if s.orders])
        request = world.request(rests=False)
        order_id = await asyncio.to_thread(world.placed, request)
        await feed.until(lambda: [o for o in feed.orders if o.state is OrderState.COMPLETE])
        last = [order for order in feed.orders if order.order_id == order_id][-1]
        assert (last.symbol, last.side, last.filled) == ("INFY", request.side, request.quantity)
        assert last.average_price
        if world.manifest.limits.tag:
            assert last.client_order_id == request.client_order_id
