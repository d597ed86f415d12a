"""Pages by the words people look for them with."""

from __future__ import annotations

from typing import NamedTuple

from flask import url_for

from blueprints.access import user


class Place(NamedTuple):
    """A page that the search offers. `words` are what else it is looked for by."""

    name: str
    endpoint: str
    words: str = ""
    admin: bool = False

    @property
    def href(self) -> str:
        return url_for(self.endpoint)


PLACES = (
    Place("Home", "dashboard.dashboard", "dashboard funds money go"),
    Place("Trade", "trade.trade", "watchlist chart ticket depth"),
    Place("Orders", "books.orders", "order book cancel modify"),
    Place("Trades", "books.trades", "fills trade book"),
    Place("Positions", "books.positions", "exit close pnl"),
    Place("Holdings", "books.holdings", "shares delivery"),
    Place("GTT and exits", "triggers.index", "triggers stop target trail"),
    Place("Baskets", "baskets.index", "basket legs"),
    Place("Action Center", "approvals.index", "approve semi auto"),
    Place("Option chain", "options.chain", "strikes greeks"),
    Place("Strategies", "python.index", "python programs upload"),
    Place("P&L today", "pnl.tracker", "profit loss curve drawdown"),
    Place("Paper account", "pnl.paper", "equity analyzer sandbox capital reset"),
    Place("Webhooks", "hooks.index", "tradingview chartink alerts"),
    Place("API keys", "settings.keys", "apikey token"),
    Place("Playground", "playground.index", "api try curl"),
    Place("Accounts", "accounts.index", "brokers connect login mode live"),
    Place("Go or no-go", "operate.checks", "checks ready"),
    Place("Contract files", "operate.contracts", "master instruments symbols"),
    Place("Reconciliation", "operate.unsettled", "unknown differences"),
    Place("Requests", "requests.index", "order log journal analyzer"),
    Place("Latency", "operate.latency", "speed milliseconds stages"),
    Place("Traffic", "operate.traffic", "requests routes errors", admin=True),
    Place("Logs", "operate.logs", "lines errors", admin=True),
    Place("Health", "operate.health", "memory disk processes", admin=True),
    Place("Limits", "admin.limits", "risk value collar"),
    Place("Users", "users.users", "roles viewer trader seats", admin=True),
    Place("Security", "admin.security", "bans tries attempts", admin=True),
    Place("Calendar", "admin.calendar", "holidays sessions timings", admin=True),
    Place("Freeze quantities", "admin.freeze", "largest order"),
    Place("Audit", "admin.audit", "chain who when"),
    Place("Password and codes", "settings.password", "totp two factor recovery"),
    Place("Devices", "settings.devices", "sessions sign out"),
    Place("Keyboard", "help.keys", "shortcuts keys help"),
    Place("Kill switch", "kill.kill", "stop trading lock"),
)


def found(words: str, most: int) -> list[Place]:
    """Pages that this person may open and that every word begins a word of; by name first."""
    asked = words.lower().split()
    if not asked:
        return []
    seen = [place for place in PLACES if not place.admin or user().is_admin]
    hits = [place for place in seen if _has(f"{place.name} {place.words}", asked)]
    return sorted(hits, key=lambda place: not _has(place.name, asked))[:most]


def _has(text: str, asked: list[str]) -> bool:
    there = text.lower().replace("&", "").split()
    return all(any(word.startswith(one.replace("&", "")) for word in there) for one in asked)
