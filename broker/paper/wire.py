"""What travels between a process and the exchange: msgpack over one socket, a call and its reply.

Records of the domain travel as they are. A reply's body is read by who asked, who knows its type.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from domain.conversion import ConvertPosition
from domain.model import CancelOrder, Instrument, ModifyOrder, PlaceOrder
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused


class Place(msgspec.Struct, tag=True):
    order: PlaceOrder


class Modify(msgspec.Struct, tag=True):
    change: ModifyOrder


class Cancel(msgspec.Struct, tag=True):
    wish: CancelOrder


class Convert(msgspec.Struct, tag=True):
    wish: ConvertPosition


class Find(msgspec.Struct, tag=True):
    """What was a request told? Answers Told or None."""

    client_order_id: str


class Orders(msgspec.Struct, tag=True):
    """Answers list[Order]."""


class Trades(msgspec.Struct, tag=True):
    """Answers list[Trade]."""


class Positions(msgspec.Struct, tag=True):
    """Answers list[Position]."""


class Holdings(msgspec.Struct, tag=True):
    """Answers list[Holding]."""


class Money(msgspec.Struct, tag=True):
    """Answers Funds."""


class Margins(msgspec.Struct, tag=True):
    """Answers Margin."""

    orders: list[PlaceOrder]


class Updates(msgspec.Struct, tag=True):
    """Answers list[PaperUpdate]: order transitions numbered above `since`."""

    since: int
    limit: int = 1000


class Quotes(msgspec.Struct, tag=True):
    """Answers list[Quote | None]."""

    instruments: list[Instrument]


class MarketDepth(msgspec.Struct, tag=True):
    """Answers Depth or None."""

    instrument: Instrument


class Candles(msgspec.Struct, tag=True):
    """Answers list[Candle]."""

    instrument: Instrument
    interval: str
    start: date
    end: date


class TermsOf(msgspec.Struct, tag=True):
    """Answers dict[str, str]: the account's terms, after `changes` were made (none: just look)."""

    changes: dict[str, str] = {}


class Reset(msgspec.Struct, tag=True):
    """Begin again with the starting capital of the terms. Answers the number of the new generation."""


class Days(msgspec.Struct, tag=True):
    """Answers list[PaperDay] of a generation; 0 is the present one."""

    generation: int = 0


Write = Place | Modify | Cancel | Convert
Request = (
    Write
    | Find
    | Orders
    | Trades
    | Positions
    | Holdings
    | Money
    | Margins
    | Updates
    | Quotes
    | MarketDepth
    | Candles
    | TermsOf
    | Reset
    | Days
)
MARKET_READS = (Quotes, MarketDepth, Candles)


class Call(msgspec.Struct):
    """`number` is the caller's own and comes back in the reply; `feed` names the market of the account."""

    number: int
    account: str
    feed: str
    request: Request


class Fault(msgspec.Struct):
    """Why there is no body. `code`: BAD_REQUEST, NOT_FOUND or UNAVAILABLE; `field` of the request, or ""."""

    code: str
    words: str
    field: str = ""


class Reply(msgspec.Struct):
    number: int
    body: msgspec.Raw = msgspec.Raw(b"\xc0")
    fault: Fault | None = None


class Told(msgspec.Struct):
    """An outcome. `kind` is accepted, refused or ambiguous."""

    kind: str
    order_id: str = ""
    code: str = ""
    words: str = ""

    @classmethod
    def of(cls, outcome: Outcome) -> Told:
        if isinstance(outcome, Accepted):
            return cls("accepted", outcome.order_id)
        if isinstance(outcome, Refused):
            return cls("refused", outcome.order_id, outcome.code, outcome.words)
        return cls("ambiguous", words=outcome.words)

    def outcome(self) -> Outcome:
        """Raises ValueError for a kind that is not known."""
        if self.kind == "accepted" and self.order_id:
            return Accepted(self.order_id)
        if self.kind == "refused":
            return Refused(self.code, self.words, self.order_id)
        if self.kind == "ambiguous":
            return Ambiguous(self.words)
        raise ValueError(f"not an outcome: {self!r}")


_encoder = msgspec.msgpack.Encoder()
read_call = msgspec.msgpack.Decoder(Call).decode
"""Raises msgspec.DecodeError for what is not a Call."""
read_reply = msgspec.msgpack.Decoder(Reply).decode
"""Raises msgspec.DecodeError for what is not a Reply."""


def encode(value: Any) -> bytes:
    """Any record of this module or of the domain as msgpack."""
    return _encoder.encode(value)


def reply(number: int, body: Any) -> bytes:
    """A good answer to call `number`."""
    return _encoder.encode(Reply(number, msgspec.Raw(_encoder.encode(body))))


def fault(number: int, code: str, words: str, field: str = "") -> bytes:
    """A bad one."""
    return _encoder.encode(Reply(number, fault=Fault(code, words, field)))
