"""Orders meet prices: ladders that find the orders a tick crosses, and the fills a picture of the market gives. Pure.

Ladders compare floats with a hair's tolerance to find candidates; whether and at what price an order trades is
decided in Decimal on the tick grid.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from broker.paper.account import Fill
from broker.paper.booked import BookedOrder
from broker.paper.rules import FillMode, Terms, whole_lots
from domain import money
from domain.market import Depth, DepthLevel, Quote, Tick
from domain.model import OrderType, Side

_HAIR = 1e-7
_Entry = tuple[float, int, int, BookedOrder]
_BPS = Decimal(10_000)


class Picture:
    """What the market shows of one instrument at one moment.

    at      of the last trade; steps  whether this is a tick that resting orders meet (else a look between ticks)
    levels  of one side, best first, in Decimal on the grid; a quantity of 0 means that the feed does not say
    """

    __slots__ = ("_asks", "_bids", "_tick_size", "at", "last_price", "last_quantity", "steps")

    def __init__(
        self,
        tick_size: Decimal,
        last_price: float,
        last_quantity: int,
        at: datetime,
        bids: Sequence[DepthLevel],
        asks: Sequence[DepthLevel],
        *,
        steps: bool,
    ) -> None:
        self._tick_size = tick_size
        self.last_price = money.price(last_price, tick_size)
        self.last_quantity = last_quantity
        self.at = at
        self.steps = steps
        self._bids = bids
        self._asks = asks

    def against(self, side: Side) -> Iterator[tuple[Decimal, Decimal]]:
        """(price, quantity) of the levels that an order of `side` trades against."""
        for level in self._asks if side is Side.BUY else self._bids:
            if level.price > 0:
                yield money.price(level.price, self._tick_size), Decimal(level.quantity)

    def best(self, side: Side) -> Decimal:
        """The price at which `side` trades at once; the last price when nobody stands there."""
        return next((price for price, _ in self.against(side)), self.last_price)

    def is_within(self, limit: Decimal, side: Side) -> bool:
        """Whether a limit reaches every level shown, and there is one."""
        worst = [price for price, _ in self.against(side)][-1:]
        return bool(worst) and _within(worst[0], limit, side)

    @classmethod
    def of_tick(cls, tick: Tick, tick_size: Decimal, at: datetime) -> Picture:
        bids, asks = (tick.bids, tick.asks) if tick.bids or tick.asks else _top(tick)
        return cls(tick_size, tick.last_price, tick.last_quantity, at, bids, asks, steps=True)

    @classmethod
    def of_depth(cls, depth: Depth, tick_size: Decimal) -> Picture:
        quote = depth.quote
        bids, asks = (depth.bids, depth.asks) if depth.bids or depth.asks else _top(quote)
        return cls(tick_size, quote.last_price, quote.last_quantity, quote.at, bids, asks, steps=False)


def _top(seen: Tick | Quote) -> tuple[tuple[DepthLevel, ...], tuple[DepthLevel, ...]]:
    """The best level a side; the last price, without a quantity, for a feed that has neither bid nor ask."""
    if not seen.bid and not seen.ask:
        last = (DepthLevel(seen.last_price, 0),)
        return last, last
    return (DepthLevel(seen.bid, seen.bid_quantity),), (DepthLevel(seen.ask, seen.ask_quantity),)


class Book:
    """The resting orders of one instrument that watch the market in one way.

    touching  orders look at the last price alone; else at bid, ask and trades through them
    Entries of ended and changed orders stay in the ladders until they surface or outnumber the living.
    """

    __slots__ = ("_buys", "_eager", "_falling", "_rising", "_sells", "live", "touching")

    def __init__(self, *, touching: bool) -> None:
        self.touching = touching
        self.live: dict[str, BookedOrder] = {}
        self._buys: list[_Entry] = []
        self._sells: list[_Entry] = []
        self._rising: list[_Entry] = []
        self._falling: list[_Entry] = []
        self._eager: list[_Entry] = []

    def add(self, order: BookedOrder) -> None:
        """Put a working order where its next price will find it."""
        self.live[order.order_id] = order
        ladder, key = self._place(order)
        heapq.heappush(ladder, (key, order.number, order.version, order))
        if len(ladder) > 64 and len(ladder) > 3 * len(self.live):
            ladder[:] = [entry for entry in ladder if self._is_current(entry)]
            heapq.heapify(ladder)

    def remove(self, order: BookedOrder) -> None:
        """Forget an order; no error when it is not here."""
        self.live.pop(order.order_id, None)

    def crossed(self, tick: Tick) -> list[BookedOrder]:
        """The orders this tick may concern, taken off their ladders, oldest first. `add` those that go on."""
        last = tick.last_price
        buying = selling = last
        if not self.touching and (tick.bid or tick.ask):
            buying = min(tick.ask or math.inf, last + _HAIR * 2)
            selling = max(tick.bid, last - _HAIR * 2)
        found: list[_Entry] = []
        if self._eager:
            found, self._eager = self._eager, []
        if self._buys and -self._buys[0][0] >= buying - _HAIR:
            self._pop(self._buys, _HAIR - buying, found)
        if self._sells and self._sells[0][0] <= selling + _HAIR:
            self._pop(self._sells, selling + _HAIR, found)
        if self._rising and self._rising[0][0] <= last + _HAIR:
            self._pop(self._rising, last + _HAIR, found)
        if self._falling and -self._falling[0][0] >= last - _HAIR:
            self._pop(self._falling, _HAIR - last, found)
        if not found:
            return []
        orders = [entry[3] for entry in found if self._is_current(entry)]
        return sorted(orders, key=lambda order: order.number)

    @staticmethod
    def _pop(ladder: list[_Entry], up_to: float, found: list[_Entry]) -> None:
        while ladder and ladder[0][0] <= up_to:
            found.append(heapq.heappop(ladder))

    def _is_current(self, entry: _Entry) -> bool:
        order = entry[3]
        return entry[2] == order.version and self.live.get(order.order_id) is order

    def _place(self, order: BookedOrder) -> tuple[list[_Entry], float]:
        buys = order.side is Side.BUY
        if order.waits_for_trigger:
            assert order.terms.trigger_price is not None
            trigger = float(order.terms.trigger_price)
            return (self._rising, trigger) if buys else (self._falling, -trigger)
        if order.fresh or order.takes_any_price:
            return self._eager, 0.0
        assert order.terms.price is not None
        limit = float(order.terms.price)
        return (self._buys, -limit) if buys else (self._sells, limit)


def fires(order: BookedOrder, picture: Picture) -> bool:
    """Whether the last price has reached a stop's trigger."""
    trigger = order.terms.trigger_price
    if trigger is None:
        return False
    return picture.last_price >= trigger if order.side is Side.BUY else picture.last_price <= trigger


def fills(order: BookedOrder, picture: Picture, terms: Terms, limit: Decimal | None) -> list[Fill]:
    """What an order gets that comes to the market now, best price first. `limit` None takes any price."""
    if terms.fill is FillMode.TOUCH:
        return _touch(order, picture, limit)
    found: list[Fill] = []
    left = order.remaining
    for price, quantity in picture.against(order.side):
        if limit is not None and not _within(price, limit, order.side):
            break
        part = left if terms.fill is FillMode.QUOTE else _portion(order, quantity, left, terms)
        if part:
            found.append(Fill(part, _slipped(order, price, limit, terms)))
            left -= part
        if not left or terms.fill is FillMode.QUOTE:
            break
    return found


def resting_fill(order: BookedOrder, picture: Picture, terms: Terms) -> Fill | None:
    """What a limit order that waited gets from a tick that came to it: its own price, as far as there was quantity."""
    limit = order.terms.price
    assert limit is not None
    if terms.fill is FillMode.TOUCH:
        return Fill(order.remaining, limit) if _within(picture.last_price, limit, order.side) else None
    offered = [q for price, q in picture.against(order.side) if _within(price, limit, order.side)]
    if not offered:
        if not _through(picture.last_price, limit, order.side):
            return None
        offered = [Decimal(picture.last_quantity)]
    if terms.fill is FillMode.QUOTE:
        return Fill(order.remaining, limit)
    total = Decimal(0) if not all(offered) else sum(offered, Decimal(0))
    return Fill(_portion(order, total, order.remaining, terms), limit)


def _touch(order: BookedOrder, picture: Picture, limit: Decimal | None) -> list[Fill]:
    if limit is not None and not _within(picture.last_price, limit, order.side):
        return []
    at_placement = limit is None and not picture.steps and order.terms.order_type is OrderType.MARKET
    price = picture.best(order.side) if at_placement else picture.last_price
    return [Fill(order.remaining, price)]


def _within(price: Decimal, limit: Decimal, side: Side) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def _through(price: Decimal, limit: Decimal, side: Side) -> bool:
    return price < limit if side is Side.BUY else price > limit


def _portion(order: BookedOrder, quantity: Decimal, left: Decimal, terms: Terms) -> Decimal:
    """How much of a level one order gets: its share in whole lots, at least one; all that is left when not told."""
    if not quantity:
        return left
    part = quantity if terms.participation == 1 else quantity * terms.participation
    return min(left, max(whole_lots(part, order.instrument), Decimal(order.instrument.lot_size)))


def _slipped(order: BookedOrder, price: Decimal, limit: Decimal | None, terms: Terms) -> Decimal:
    if not terms.slippage_bps:
        return price
    tick = order.instrument.tick_size
    change = price * terms.slippage_bps / _BPS
    if order.side is Side.BUY:
        worse = ((price + change) / tick).to_integral_value(ROUND_CEILING) * tick
        return worse if limit is None else min(worse, limit)
    worse = max(tick, ((price - change) / tick).to_integral_value(ROUND_FLOOR) * tick)
    return worse if limit is None else max(worse, limit)
