"""A broker's facts as data: `manifest.toml` read into a frozen Manifest, without importing the broker.

Screens, tests, docs and services read capabilities here; nothing asks for a broker's name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from domain.errors import LoginFailed
from domain.model import Exchange, OrderType, Product


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginField:
    """One field of the login form. `secret` fields are encrypted at rest and never shown or logged."""

    name: str
    label: str
    secret: bool = False
    required: bool = True
    help: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How a session begins.

    kind    "none" (paper), "redirect", "totp", "oauth", "key", "token"
    fields  kept credentials; ask: what a person types at each login (a TOTP, a PIN)
    callback  the redirect's query names that may hold the code; the value goes to `log_in` under ask's name
    expires_at  "HH:MM" IST of the daily logout, "" when sessions do not end daily
    key_format  how other installs pack several fields into BROKER_API_KEY, e.g. "user_id:::api_key"
    data_session  market data has a session of its own, which `log_in_data` opens from the kept fields alone
    """

    kind: str = "none"
    fields: tuple[LoginField, ...] = ()
    ask: tuple[LoginField, ...] = ()
    callback: tuple[str, ...] = ()
    expires_at: str = ""
    key_format: str = "api_key"
    data_session: bool = False

    def complete(self, values: Mapping[str, str]) -> dict[str, str]:
        """Stored fields and what came back, with the code under its own name whatever the redirect called it.

        Raises LoginFailed naming what is missing.
        """
        found = dict(values)
        code = next((found[name] for name in self.callback if found.get(name)), "")
        for one in self.ask[:1]:
            found[one.name] = found.get(one.name) or code
        for one in (*self.fields, *self.ask):
            if one.required and not found.get(one.name):
                raise LoginFailed(f"{one.label} is missing")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleWindow:
    """One candle interval: the broker's code for it and the longest span of one call, days (0: no limit)."""

    code: str
    days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """The broker's own client library, and the date on which it last ran against our simulator ("" never)."""

    name: str = ""
    version: str = ""
    ran: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a broker can do; anything else is refused with NotSupported before bytes leave.

    reads    of: orders trades positions holdings funds quotes depth candles margin gtt instruments
    streams  of: ltp quote depth orders
    order_updates  how they arrive: "stream", "poll"
    postbacks  it also sends order updates by HTTP, with a signature that can be checked
    protect  order types that its API refuses bare: sent as limits at a protected price
    gtt      of: single two-leg
    candles  by public interval, in the order in which they are listed; intervals are its names
    """

    exchanges: frozenset[Exchange]
    order_types: frozenset[OrderType]
    products: frozenset[Product]
    reads: frozenset[str]
    streams: frozenset[str] = frozenset()
    order_updates: str = "poll"
    postbacks: bool = False
    gtt: frozenset[str] = frozenset()
    intervals: tuple[str, ...] = ()
    candles: dict[str, CandleWindow] = field(default_factory=dict)
    protect: frozenset[OrderType] = frozenset()
    amo: bool = False
    modify: bool = True
    convert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Rates and sizes; 0 means not known and then not enforced.

    requests   calls a second by endpoint class ("orders", "quotes", "candles", "default")
    per_minute calls a minute by endpoint class
    book_lag   seconds an accepted order may be absent from the order book
    quotes_by_stream  instruments whose quotes one short stream brings, where calls bring one each; 0: calls alone
    tag        longest client_order_id the broker carries; 0 means it carries none
    """

    requests: dict[str, float] = field(default_factory=dict)
    per_minute: dict[str, float] = field(default_factory=dict)
    symbols_per_socket: int = 0
    sockets: int = 1
    quotes_per_call: int = 1
    quotes_by_stream: int = 0
    candles_per_call: int = 0
    book_lag: float = 2.0
    tag: int = 0
    depth_levels: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything about a broker that is a fact."""

    name: str
    title: str
    family: str
    docs: str
    urls: dict[str, str]
    can: Capabilities
    limits: Limits
    login: Login
    sdk: Sdk = Sdk()
    proven: str = "simulator"
    notes: tuple[str, ...] = ()


def unpacked(login: Login, kept: Mapping[str, str]) -> dict[str, str]:
    """The login form's fields out of what other installs keep in their environment.

    kept  by BROKER_API_KEY (several fields as `key_format` says), BROKER_API_SECRET, BROKER_API_KEY_MARKET,
          BROKER_API_SECRET_MARKET and REDIRECT_URL; absent names are left out of the answer
    """
    names = login.key_format.split(":::")
    parts = kept.get("BROKER_API_KEY", "").split(":::", len(names) - 1)
    found = dict(zip(names, parts, strict=False)) if len(parts) == len(names) else {names[-1]: parts[-1]}
    for name, variable in (
        ("api_secret", "BROKER_API_SECRET"),
        ("api_key_market", "BROKER_API_KEY_MARKET"),
        ("api_secret_market", "BROKER_API_SECRET_MARKET"),
        ("redirect_url", "REDIRECT_URL"),
    ):
        found[name] = kept.get(variable, "")
    asked = {field.name for field in login.fields}
    return {name: value.strip() for name, value in found.items() if name in asked and value.strip()}


def read_manifest(path: Path) -> Manifest:
    """Read one manifest.toml. Raises ValueError naming the file and what is wrong in it."""
    try:
        with path.open("rb") as file:
            return _manifest(tomllib.load(file))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error!r}") from error


def _manifest(raw: dict[str, object]) -> Manifest:
    known = {
        "name",
        "title",
        "family",
        "docs",
        "urls",
        "can",
        "limits",
        "login",
        "candles",
        "sdk",
        "proven",
        "notes",
    }
    if unknown := set(raw) - known:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    name = str(raw["name"])
    return Manifest(
        name=name,
        title=str(raw.get("title", name.title())),
        family=str(raw.get("family", "")),
        docs=str(raw.get("docs", "")),
        urls={k: str(v) for k, v in _table(raw, "urls").items()},
        can=_capabilities(_table(raw, "can"), _candles(_table(raw, "candles"))),
        limits=Limits(**_table(raw, "limits")),  # type: ignore[arg-type]
        login=_login(_table(raw, "login")),
        sdk=Sdk(**{k: str(v) for k, v in _table(raw, "sdk").items()}),
        proven=str(raw.get("proven", "simulator")),
        notes=tuple(str(note) for note in _list(raw, "notes")),
    )


def _candles(raw: dict[str, object]) -> dict[str, CandleWindow]:
    return {interval: CandleWindow(**_table(raw, interval)) for interval in raw}  # type: ignore[arg-type]


def _capabilities(can: dict[str, object], candles: dict[str, CandleWindow]) -> Capabilities:
    return Capabilities(
        exchanges=frozenset(Exchange(str(e)) for e in _list(can, "exchanges")),
        order_types=frozenset(OrderType(str(t)) for t in _list(can, "order_types")),
        products=frozenset(Product(str(p)) for p in _list(can, "products")),
        reads=frozenset(str(r) for r in _list(can, "reads")),
        streams=frozenset(str(s) for s in _list(can, "streams")),
        order_updates=str(can.get("order_updates", "poll")),
        postbacks=bool(can.get("postbacks", False)),
        gtt=frozenset(str(g) for g in _list(can, "gtt")),
        intervals=tuple(candles) or tuple(str(i) for i in _list(can, "intervals")),
        candles=candles,
        protect=frozenset(OrderType(str(t)) for t in _list(can, "protect")),
        amo=bool(can.get("amo", False)),
        modify=bool(can.get("modify", True)),
        convert=bool(can.get("convert", False)),
    )


def _login(login: dict[str, object]) -> Login:
    return Login(
        kind=str(login.get("kind", "none")),
        fields=tuple(LoginField(**f) for f in _list(login, "fields")),  # type: ignore[arg-type]
        ask=tuple(LoginField(**f) for f in _list(login, "ask")),  # type: ignore[arg-type]
        callback=tuple(str(c) for c in _list(login, "callback")),
        expires_at=str(login.get("expires_at", "")),
        key_format=str(login.get("key_format", "api_key")),
        data_session=bool(login.get("data_session", False)),
    )


def _table(raw: dict[str, object], key: str) -> dict[str, object]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not a table")
    return value


def _list(raw: dict[str, object], key: str) -> list[object]:
    value = raw.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list")
    return value
