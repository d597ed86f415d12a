"""The parts of Noren beside trading: order triggers (GTT), and the look-ups and lists of its client library."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from domain.market import Tick
from domain.model import Instrument
from tests.simulators import noren_wire as wire

if TYPE_CHECKING:
    from tests.simulators.noren import NorenSimulator

Data = dict[str, object]
Handlers = dict[str, Callable[[Data], object]]


class OrderTriggers:
    """One trigger and its order, fired when the price passes above (`LTP_A_O`) or below (`LTP_B_O`) `d`."""

    def __init__(self, face: NorenSimulator) -> None:
        self._face = face
        self._rows: dict[str, Data] = {}
        self._numbers = count(26112500000001)
        face.exchange.on_tick.append(self._on_tick)

    def handlers(self) -> Handlers:
        return {
            "PlaceGTTOrder": self._place,
            "ModifyGTTOrder": self._modify,
            "CancelGTTOrder": self._cancel,
            "GetPendingGTTOrder": lambda data: self._pending(),
        }

    def _place(self, data: Data) -> object:
        number = str(next(self._numbers))
        self._keep(number, data)
        return self._told("OI created", number)

    def _modify(self, data: Data) -> object:
        self._keep(self._known(data), data)
        return self._told("Oi Replaced", str(data["al_id"]))

    def _cancel(self, data: Data) -> object:
        del self._rows[self._known(data)]
        return self._told("OI deleted", str(data["al_id"]))

    def _keep(self, number: str, data: Data) -> None:
        from tests.simulators.noren import NorenError

        self._face.scrip(data)
        if data.get("ai_t") not in ("LTP_A_O", "LTP_B_O"):
            raise NorenError("Invalid Input : ai_t")
        self._rows[number] = {**data, "tsym": unquote_plus(str(data["tsym"])), "al_id": number}

    def _known(self, data: Data) -> str:
        from tests.simulators.noren import NorenError

        number = str(data.get("al_id"))
        if number not in self._rows:
            raise NorenError("Invalid Alert Id")
        return number

    def _told(self, stat: str, number: str) -> Data:
        return {"request_time": wire.clock(self._face.clock.now()), "stat": stat, "al_id": number}

    def _pending(self) -> object:
        from tests.simulators.noren import NO_DATA, NorenError

        if not self._rows:
            raise NorenError(NO_DATA)
        return [{"stat": "Ok", **row} for row in self._rows.values()]

    def _on_tick(self, instrument: Instrument, tick: Tick) -> None:
        for number, row in list(self._rows.items()):
            scrip = self._face.scrip(row)
            level = float(str(row["d"]))
            passed = tick.last_price > level if row["ai_t"] == "LTP_A_O" else tick.last_price < level
            if scrip.instrument.key == instrument.key and passed:
                del self._rows[number]
                self._face._place({**row, "trgprc": "0"})


class Watchlists:
    """Watch lists are kept in memory; look-ups answer from the listing."""

    def __init__(self, face: NorenSimulator) -> None:
        self._face = face
        self._lists: dict[str, list[str]] = {"1": []}

    def handlers(self) -> Handlers:
        return {
            "MWList": lambda data: self._ok(values=sorted(self._lists)),
            "MarketWatch": lambda data: self._ok(values=[self._info(key) for key in self._list(data)]),
            "AddMultiScripsToMW": self._add,
            "DeleteMultiMWScrips": self._remove,
            "SearchScrip": self._search,
            "GetSecurityInfo": lambda data: self._ok(**self._info(f"{data.get('exch')}|{data.get('token')}")),
            "GetLinkedScrips": lambda data: self._ok(equls=[], fut=[], opt=[]),
            "GetOptionChain": self._chain,
            "GetOptionGreek": lambda data: {"stat": "OK", "cal_price": "10.00", "cal_delta": "0.50"},
            "SpanCalc": lambda data: self._ok(span="1000.00", expo="300.00"),
            "ExchMsg": lambda data: [{"stat": "Ok", "exchmsg": "rehearsal"}],
            "ForgotPassword": lambda data: self._ok(),
            "Changepwd": lambda data: self._ok(),
            "FgtPwdOTP": lambda data: self._ok(),
        }

    def _ok(self, **told: object) -> Data:
        return {"request_time": wire.clock(self._face.clock.now()), "stat": "Ok", **told}

    def _list(self, data: Data) -> list[str]:
        return self._lists.setdefault(str(data.get("wlname")), [])

    def _add(self, data: Data) -> Data:
        self._list(data).extend(str(data.get("scrips")).split("#"))
        return self._ok()

    def _remove(self, data: Data) -> Data:
        gone = str(data.get("scrips")).split("#")
        self._lists[str(data.get("wlname"))] = [key for key in self._list(data) if key not in gone]
        return self._ok()

    def _info(self, key: str) -> Data:
        from tests.simulators.noren import NO_DATA, NorenError

        scrip = self._face.by_key.get(key)
        if scrip is None:
            raise NorenError(NO_DATA)
        return {"exch": scrip.exchange, "token": scrip.token, "tsym": scrip.symbol, "cname": scrip.name,
                "ls": str(scrip.instrument.lot_size), "ti": str(scrip.instrument.tick_size), "pp": "2"}  # fmt: skip

    def _search(self, data: Data) -> Data:
        from tests.simulators.noren import NO_DATA, NorenError

        wanted = unquote_plus(str(data.get("stext"))).upper()
        found = [
            self._info(scrip.key)
            for scrip in self._face.by_key.values()
            if scrip.exchange == data.get("exch") and wanted in scrip.symbol
        ]
        if not found:
            raise NorenError(NO_DATA)
        return self._ok(values=found)

    def _chain(self, data: Data) -> Data:
        options = [
            {**self._info(s.key), "optt": s.instrument.kind.value, "strprc": str(s.instrument.strike)}
            for s in self._face.by_key.values()
            if s.exchange == data.get("exch") and s.instrument.kind.is_option
        ]
        return self._ok(values=options)
