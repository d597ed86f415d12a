"""Orders for options named by words: each leg is resolved to a listed contract, then sent as legs of one plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice

from domain.errors import PlatformError, Unavailable
from domain.model import Exchange, InstrumentKind, OrderRequest, OrderType, Product, Side
from services.accounts import Caller
from services.options import Choice, Options
from services.order_plans import OrderPlans, pieces
from services.orders import Placed

Children = list[tuple[OrderRequest, Placed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionWish:
    """One option order in words.

    offset    ATM, ITM1 to ITM50, OTM1 to OTM50
    expiry    None: the one embedded in the underlying
    size      units of each child order; 0 for one order
    """

    offset: str
    kind: InstrumentKind
    side: Side
    quantity: Decimal
    expiry: date | None = None
    size: Decimal = Decimal(0)
    order_type: OrderType = OrderType.MARKET
    product: Product = Product.INTRADAY
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What options are wanted of; `strike_step` asks for arithmetic strikes in place of listed ones."""

    underlying: str
    exchange: Exchange
    strategy: str
    strike_step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """What became of one wish: no choice (and why) when it names no contract, else its child orders."""

    wish: OptionWish
    choice: Choice | None
    children: Children
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionAnswer:
    """Legs in the order asked; none while the whole waits for a person. `underlying_price` None when not known."""

    legs: list[Leg]
    underlying_price: float | None
    approval_id: int | None = None


class OptionOrders:
    """Places options of any account."""

    def __init__(self, options: Options, plans: OrderPlans) -> None:
        self._options = options
        self._plans = plans

    def place(
        self, caller: Caller, asked: Asked, wish: OptionWish, *, key: str = "", body_hash: str = ""
    ) -> OptionAnswer:
        """Place one. Raises what `Options.choose` raises; a refused order is in the answer."""
        choice = self._choose(caller, asked, wish, {})
        plan = self._plans.basket(caller, _requests(asked, wish, choice), key=key, body_hash=body_hash)
        leg = Leg(wish=wish, choice=choice, children=plan.legs)
        return OptionAnswer(
            legs=[] if plan.approval_id else [leg],
            underlying_price=choice.underlying_price,
            approval_id=plan.approval_id,
        )

    def place_many(
        self,
        caller: Caller,
        asked: Asked,
        wishes: Sequence[OptionWish],
        *,
        key: str = "",
        body_hash: str = "",
    ) -> OptionAnswer:
        """Place several, BUYs first; a leg that fails does not stop the others."""
        prices: dict[tuple[str, str], float] = {}
        found = [self._resolve(caller, asked, wish, prices) for wish in wishes]
        wanted = [
            request
            for leg in found
            if leg.choice is not None
            for request in _requests(asked, leg.wish, leg.choice)
        ]
        plan = self._plans.basket(caller, wanted, key=key, body_hash=body_hash)
        return OptionAnswer(
            legs=[] if plan.approval_id else _dealt(found, plan.legs),
            underlying_price=next(iter(prices.values()), None),
            approval_id=plan.approval_id,
        )

    def _resolve(
        self, caller: Caller, asked: Asked, wish: OptionWish, prices: dict[tuple[str, str], float]
    ) -> Leg:
        try:
            choice = self._choose(caller, asked, wish, prices)
            pieces_of(wish)
        except PlatformError as error:
            return Leg(wish=wish, choice=None, children=[], why=str(error))
        return Leg(wish=wish, choice=choice, children=[])

    def _choose(
        self, caller: Caller, asked: Asked, wish: OptionWish, prices: dict[tuple[str, str], float]
    ) -> Choice:
        """The contract; each underlying is quoted once, its price kept in `prices`."""
        found = self._options.underlying(caller, asked.underlying, asked.exchange, wish.expiry)
        quoted = (found.exchange.value, found.symbol)
        if quoted not in prices:
            prices[quoted] = self._options.quote(caller, found).last_price
        return self._options.choose(
            caller,
            asked.underlying,
            asked.exchange,
            wish.offset,
            wish.kind,
            expiry=wish.expiry,
            strike_step=asked.strike_step,
            underlying_price=prices[quoted],
        )


def _requests(asked: Asked, wish: OptionWish, choice: Choice) -> list[OrderRequest]:
    request = OrderRequest(
        symbol=choice.instrument.symbol,
        exchange=choice.instrument.exchange,
        side=wish.side,
        quantity=wish.quantity,
        order_type=wish.order_type,
        product=wish.product,
        price=wish.price,
        trigger_price=wish.trigger_price,
        disclosed_quantity=wish.disclosed_quantity,
        strategy=asked.strategy,
    )
    return pieces(request, wish.size) if wish.size else [request]


def pieces_of(wish: OptionWish) -> int:
    """How many orders a wish makes. Raises InvalidRequest for more than 100."""
    if not wish.size:
        return 1
    counted = OrderRequest(symbol="", exchange=Exchange.NFO, side=wish.side, quantity=wish.quantity)
    return len(pieces(counted, wish.size))


def _dealt(legs: Sequence[Leg], sent: Children) -> list[Leg]:
    """Give every leg its children back: a plan sends BUYs first, each side in the order asked."""
    left = iter(sent)
    children: dict[int, Children] = {}
    for side in (Side.BUY, Side.SELL):
        for number, leg in enumerate(legs):
            if leg.choice is not None and leg.wish.side is side:
                children[number] = list(islice(left, pieces_of(leg.wish)))
    if sum(map(len, children.values())) != len(sent) or next(left, None) is not None:
        raise Unavailable(
            "The first request with this key is in the order book; its legs read otherwise now."
        )
    return [
        Leg(wish=leg.wish, choice=leg.choice, children=children.get(number, []), why=leg.why)
        for number, leg in enumerate(legs)
    ]
