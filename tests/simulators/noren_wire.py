"""Noren's spellings, rows and frames as its servers write them: strings throughout, absent where nothing happened."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from broker.paper.booked import Line
from domain.clock import IST
from domain.market import Candle, Depth, Tick
from domain.model import (
    Exchange,
    Instrument,
    InstrumentKind,
    Order,
    OrderState,
    OrderType,
    Product,
    Side,
    Trade,
)
from tests.simulators.exchange import Entry, Held

HOMES = {Exchange.NSE_INDEX: "NSE", Exchange.BSE_INDEX: "BSE"}
INDICES = {
    "NIFTY": ("26000", "Nifty 50", "NIFTY INDEX"),
    "BANKNIFTY": ("26009", "Nifty Bank", "NIFTY BANK"),
    "INDIAVIX": ("26017", "INDIAVIX", "INDIA VIX"),
    "SENSEX": ("1", "SENSEX", "SENSEX"),
    "BANKEX": ("12", "BANKEX", "BANKEX"),
}
SIDES = {Side.BUY: "B", Side.SELL: "S"}
PRODUCTS = {Product.DELIVERY: "C", Product.CARRY: "M", Product.INTRADAY: "I"}
TYPES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP_LIMIT: "SL-LMT",
    OrderType.STOP_MARKET: "SL-MKT",
}
STATUS = {
    OrderState.PENDING: "PENDING",
    OrderState.OPEN: "OPEN",
    OrderState.TRIGGER_PENDING: "TRIGGER_PENDING",
    OrderState.COMPLETE: "COMPLETE",
    OrderState.CANCELLED: "CANCELED",
    OrderState.REJECTED: "REJECTED",
    OrderState.EXPIRED: "CANCELED",
}
REPORTS = {
    "COMPLETE": "Fill", "REJECTED": "Rejected", "CANCELED": "Canceled", "TRIGGER_PENDING": "TriggerPending",
}  # fmt: skip
CASH_COLUMNS = "Exchange,Token,LotSize,Symbol,TradingSymbol,Instrument,TickSize,"
CONTRACT_COLUMNS = (
    "Exchange,Token,LotSize,Symbol,TradingSymbol,Expiry,Instrument,OptionType,StrikePrice,TickSize,"
)
CURRENCY_COLUMNS = CONTRACT_COLUMNS.replace("LotSize,", "LotSize,Precision,Multiplier,")
FLAT_COLUMNS = "Exchange,Token,Lotsize,Symbol,Tradingsymbol,Instrument,Expiry,Strike,Optiontype"


@dataclass(frozen=True, slots=True)
class Ticks:
    """How a house writes tick sizes: what a rupee counts as, for shares and for contracts; None writes none."""

    cash: int = 1
    contracts: int = 1


class Scrip:
    """One instrument under Noren's names. Tokens repeat between exchanges, as they do in life."""

    def __init__(self, instrument: Instrument, number: int) -> None:
        self.instrument = instrument
        self.exchange = HOMES.get(instrument.exchange, instrument.exchange.value)
        self.token, self.name, self.symbol = str(number), instrument.name, _symbol(instrument)
        if instrument.kind is InstrumentKind.INDEX:
            self.token, self.name, self.symbol = INDICES[instrument.symbol]
        self.places = 4 if instrument.exchange is Exchange.CDS else 2

    @property
    def key(self) -> str:
        return f"{self.exchange}|{self.token}"

    def price(self, value: float | Decimal) -> str:
        return f"{value:.{self.places}f}"

    def row(self, ticks: Ticks) -> str:
        one = self.instrument
        if one.expiry is None:
            index = one.kind is InstrumentKind.INDEX
            kind, tick = ("INDEX", Decimal(0)) if index else ("EQ", one.tick_size * ticks.cash)
            return f"{self.exchange},{self.token},{one.lot_size},{self.name},{self.symbol},{kind},{_digits(tick)},"
        kind, option = self._kind()
        lot = f"{one.lot_size},4,{one.contract_value}" if self.exchange == "CDS" else str(one.lot_size)
        name = "BSXOPT" if self.exchange == "BFO" else self.name
        day, tick = f"{one.expiry:%d-%b-%Y}".upper(), _digits(one.tick_size * ticks.contracts)
        strike = _digits(one.strike or Decimal(0))
        return (
            f"{self.exchange},{self.token},{lot},{name},{self.symbol},{day},{kind},{option},{strike},{tick},"
        )

    def flat_row(self) -> str:
        one = self.instrument
        kind, option = (
            self._kind() if one.expiry else ("INDEX" if one.kind is InstrumentKind.INDEX else "EQ", "")
        )
        day = f"{one.expiry:%d-%b-%Y}".upper() if one.expiry else ""
        strike = _digits(one.strike or Decimal(0))
        return f"{self.exchange},{self.token},{one.lot_size},{self.name},{self.symbol},{kind},{day},{strike},{option}"

    def _kind(self) -> tuple[str, str]:
        one = self.instrument
        family = {"CDS": "CUR", "MCX": "COM"}.get(self.exchange)
        family = family or ("IDX" if one.name in INDICES else "STK")
        return (f"FUT{family}", "XX") if one.strike is None else (f"OPT{family}", one.kind.value)


def _symbol(one: Instrument) -> str:
    if one.expiry is None:
        return f"{one.symbol}-EQ" if one.exchange is Exchange.NSE else one.symbol
    strike = _digits(one.strike) if one.strike else ""
    if one.exchange is Exchange.BFO:
        return f"{one.name}{one.expiry:%y%b}".upper() + (f"{strike}{one.kind.value}" if strike else "FUT")
    day = f"{one.expiry:%d%b%y}".upper()
    if one.exchange is Exchange.MCX and not strike:
        return f"{one.name}{day}"
    return f"{one.name}{day}" + (f"{one.kind.value[0]}{strike}" if strike else "F")


def master(scrips: Iterable[Scrip], ticks: Ticks, exchange: str) -> bytes:
    """The zipped text of one exchange. The BSE file has no indices."""
    columns = CASH_COLUMNS if exchange in ("NSE", "BSE") else CONTRACT_COLUMNS
    columns = CURRENCY_COLUMNS if exchange == "CDS" else columns
    rows = [s.row(ticks) for s in scrips if s.exchange == exchange and s.instrument.exchange != "BSE_INDEX"]
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{exchange}_symbols.txt", "\n".join([columns, *rows]) + "\n")
    return held.getvalue()


def clock(at: datetime) -> str:
    return at.astimezone(IST).strftime("%H:%M:%S %d-%m-%Y")


def _digits(value: Decimal) -> str:
    return f"{value.normalize():f}" if value else "0"


# -- rows
def order_row(entry: Entry, scrip: Scrip) -> dict[str, str]:
    order = entry.order
    row = {
        "stat": "Ok",
        "norenordno": order.order_id,
        "kidid": "1",
        "uid": entry.user,
        "actid": entry.user,
        "exch": scrip.exchange,
        "tsym": scrip.symbol,
        "qty": _digits(order.quantity),
        "ordenttm": str(int(order.placed_at.timestamp())),
        "trantype": SIDES[order.side],
        "prctyp": TYPES[order.order_type],
        "ret": "DAY",
        "token": scrip.token,
        "mult": "1",
        "prcftr": "1.000000",
        "instname": "EQ",
        "ordersource": "API",
        "dscqty": _digits(order.disclosed_quantity),
        "pp": str(scrip.places),
        "ls": str(scrip.instrument.lot_size),
        "ti": _digits(scrip.instrument.tick_size),
        "prc": scrip.price(order.price or 0),
        "rprc": scrip.price(order.price or 0),
        "prd": PRODUCTS[order.product],
        "s_prdt_ali": order.product.value,
        "status": STATUS[order.state],
        "st_intrn": STATUS[order.state],
        "norentm": clock(order.updated_at),
        "exch_tm": "",
        "exchordid": f"11{order.order_id}",
        "rqty": "0",
    }
    if order.trigger_price is not None:
        row["trgprc"] = scrip.price(order.trigger_price)
    if order.filled:
        assert order.average_price is not None
        row |= {"fillshares": _digits(order.filled), "avgprc": scrip.price(order.average_price)}
    if order.state is OrderState.CANCELLED:
        row["cancelqty"] = _digits(order.quantity - order.filled)
    if order.reason:
        row["rejreason"] = order.reason
    if entry.tag:
        row["remarks"] = entry.tag
    return row


def order_message(entry: Entry, scrip: Scrip, trade: Trade | None) -> dict[str, str]:
    """An `om` frame: the row, the product under another name, and the fill when there was one."""
    row = order_row(entry, scrip)
    word = row["status"]
    row |= {"t": "om", "pcode": row.pop("prd"), "reporttype": REPORTS.get(word, "New")}
    if trade is not None:
        row |= {
            "reporttype": "Fill",
            "flqty": _digits(trade.quantity),
            "flprc": scrip.price(trade.price),
            "flid": trade.trade_id,
            "fltm": trade.traded_at.astimezone(IST).strftime("%d-%m-%Y %H:%M:%S"),
        }
    return row


def trade_row(trade: Trade, order: Order, scrip: Scrip) -> dict[str, str]:
    return {
        "stat": "Ok",
        "norenordno": trade.order_id,
        "exch": scrip.exchange,
        "tsym": scrip.symbol,
        "token": scrip.token,
        "prctyp": TYPES[order.order_type],
        "ret": "DAY",
        "prd": PRODUCTS[trade.product],
        "trantype": SIDES[trade.side],
        "qty": _digits(order.quantity),
        "fillshares": _digits(order.filled),
        "avgprc": scrip.price(order.average_price or 0),
        "flid": trade.trade_id,
        "fltm": trade.traded_at.astimezone(IST).strftime("%d-%m-%Y %H:%M:%S"),
        "flqty": _digits(trade.quantity),
        "flprc": scrip.price(trade.price),
        "norentm": clock(trade.traded_at),
    }


def position_row(line: Line, scrip: Scrip, last: float) -> dict[str, str]:
    worth = line.instrument.contract_value
    unrealised = Decimal(str(last)) * line.quantity * worth - line.cost
    return {
        "stat": "Ok",
        "exch": scrip.exchange,
        "tsym": scrip.symbol,
        "token": scrip.token,
        "prd": PRODUCTS[line.product],
        "s_prdt_ali": line.product.value,
        "netqty": _digits(line.quantity),
        "netavgprc": scrip.price(line.average or 0),
        "lp": scrip.price(last),
        "urmtom": f"{unrealised:.2f}",
        "rpnl": f"{line.realised_today:.2f}",
        "mult": _digits(worth),
        "prcftr": "1.000000",
        "pp": str(scrip.places),
        "ls": str(scrip.instrument.lot_size),
    }


def holding_row(held: Held, scrip: Scrip) -> dict[str, object]:
    listed = {"exch": scrip.exchange, "tsym": scrip.symbol, "token": scrip.token, "pp": "2", "ls": "1"}
    other = {"exch": "BSE", "tsym": scrip.instrument.symbol, "token": "500112", "pp": "2", "ls": "1"}
    return {
        "stat": "Ok",
        "exch_tsym": [other, listed],
        "holdqty": "0",
        "npoadqty": _digits(held.quantity),
        "usedqty": "0",
        "upldprc": f"{held.average_price:.2f}",
        "sell_amt": "0.00",
        "s_prdt_ali": "CNC",
        "prd": "C",
    }


def quote_fields(depth: Depth, scrip: Scrip, traded: bool) -> dict[str, str]:
    """GetQuotes, without who was asked. The day's own prices are absent until something traded."""
    quote, one = depth.quote, scrip.instrument
    row = {
        "exch": scrip.exchange,
        "tsym": scrip.symbol,
        "token": scrip.token,
        "cname": scrip.name,
        "instname": "EQ",
        "pp": str(scrip.places),
        "ls": str(one.lot_size),
        "ti": _digits(one.tick_size),
        "lp": scrip.price(quote.last_price),
        "c": scrip.price(quote.close),
    }
    if traded:
        local = quote.at.astimezone(IST)
        row |= {
            "o": scrip.price(quote.open),
            "h": scrip.price(quote.high),
            "l": scrip.price(quote.low),
            "ltt": f"{local:%H:%M:%S}",
            "ltd": f"{local:%d-%m-%Y}",
        }
    if one.kind is InstrumentKind.INDEX:
        return row
    row |= {
        "v": str(quote.volume),
        "ap": scrip.price(quote.average_price),
        "ltq": str(quote.last_quantity),
        "tbq": str(depth.total_buy_quantity),
        "tsq": str(depth.total_sell_quantity),
        "uc": scrip.price(depth.upper_circuit or 0),
        "lc": scrip.price(depth.lower_circuit or 0),
    }
    if quote.open_interest:
        row["oi"] = str(quote.open_interest)
    for side, levels in (("b", depth.bids), ("s", depth.asks)):
        for n, level in enumerate(levels, 1):
            row |= {
                f"{side}p{n}": scrip.price(level.price),
                f"{side}q{n}": str(level.quantity),
                f"{side}o{n}": str(level.orders),
            }
    return row


def bar_row(bar: Candle, scrip: Scrip) -> dict[str, str]:
    at = datetime.fromtimestamp(bar.start, IST)
    row = {
        "stat": "Ok",
        "time": f"{at:%d-%m-%Y %H:%M:%S}",
        "ssboe": str(bar.start),
        "intvwap": scrip.price(bar.close),
    }
    prices = zip(("into", "inth", "intl", "intc"), bar[1:5], strict=True)
    row |= {name: scrip.price(value) for name, value in prices}
    return row | {
        "intv": str(bar.volume),
        "v": str(bar.volume * 3),
        "oi": str(bar.open_interest),
        "intoi": "0",
    }


def day_row(bar: Candle, scrip: Scrip) -> dict[str, str]:
    day = datetime.fromtimestamp(bar.start, UTC)
    prices = zip(("into", "inth", "intl", "intc"), bar[1:5], strict=True)
    row = {"time": f"{day:%d-%b-%Y}".upper(), **{name: scrip.price(value) for name, value in prices}}
    return row | {"ssboe": str(bar.start - 19800), "intv": f"{bar.volume}.00"}


# -- frames
def tick_fields(tick: Tick, scrip: Scrip, deep: bool, traded: bool) -> dict[str, str]:
    """Everything a touchline (or depth) frame may hold."""
    row = {
        "ts": scrip.symbol,
        "pp": str(scrip.places),
        "ls": str(scrip.instrument.lot_size),
        "ti": _digits(scrip.instrument.tick_size),
        "lp": scrip.price(tick.last_price),
        "pc": f"{(tick.last_price / tick.close - 1) * 100:.2f}",
        "c": scrip.price(tick.close),
        "ft": str(tick.ltt // 1000),
    }
    if traded:
        row |= {"o": scrip.price(tick.open), "h": scrip.price(tick.high), "l": scrip.price(tick.low)}
    if not tick.bids:
        return row
    row |= {"v": str(tick.volume), "ap": scrip.price(tick.average_price)}
    if tick.open_interest:
        row |= {"oi": str(tick.open_interest), "poi": "0", "toi": str(tick.open_interest)}
    if deep:
        row |= {"tbq": str(tick.total_buy_quantity), "tsq": str(tick.total_sell_quantity),
                "ltq": str(tick.last_quantity)}  # fmt: skip
    for side, levels in (("b", tick.bids), ("s", tick.asks)):
        for n, level in enumerate(levels[: 5 if deep else 1], 1):
            row |= {f"{side}p{n}": scrip.price(level.price), f"{side}q{n}": str(level.quantity)}
            if deep:
                row[f"{side}o{n}"] = str(level.orders)
    return row
