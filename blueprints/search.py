"""Find instruments by words in any order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from itertools import groupby

from flask import render_template, request

from blueprints.access import caller, pages, platform, today
from blueprints.filters import title
from blueprints.places import found
from domain.model import Exchange, Instrument

blueprint = pages("search")

_MOST = 100
_IN_PALETTE = 12
_PLACES = 5


@dataclass(frozen=True, slots=True)
class Found:
    """One hit and how people say it."""

    instrument: Instrument
    name: str


def find(words: str, exchange: str, most: int) -> list[Found]:
    """Hits in the account's own master, best first; none for no words."""
    if not words.strip():
        return []
    wanted = exchange if exchange in Exchange.__members__ else None
    hits = platform().instruments.search(caller().account.venue, words, wanted, most)
    ordered = [
        hit for _, same in groupby(hits, lambda hit: hit.symbol) for hit in sorted(same, key=_home_first)
    ]
    return [Found(hit, title(hit, today())) for hit in nearest_first(ordered)]


def nearest_first(hits: list[Instrument]) -> list[Instrument]:
    """Contracts that differ by their expiry alone change places until the nearest comes first; all others stay."""
    alike: dict[tuple[object, ...], list[Instrument]] = {}
    for hit in hits:
        alike.setdefault((hit.exchange, hit.name, hit.kind, hit.strike), []).append(hit)
    queues = {what: iter(sorted(same, key=_expiry)) for what, same in alike.items()}
    return [next(queues[hit.exchange, hit.name, hit.kind, hit.strike]) for hit in hits]


def _expiry(hit: Instrument) -> date:
    return hit.expiry or date.max


def _home_first(hit: Instrument) -> bool:
    """Of one symbol on several exchanges, the one most people mean."""
    return hit.exchange is not Exchange.NSE


@blueprint.get("/search")
def search() -> str:
    """A page of hits; with `part=palette` the list inside the search box."""
    words, exchange = request.args.get("q", "").strip()[:80], request.args.get("exchange", "")
    palette = request.args.get("part") == "palette"
    hits = find(words, exchange, _IN_PALETTE if palette else _MOST)
    template = "search/palette.html" if palette else "search/search.html"
    exchanges = [("", "All exchanges"), *((e.value, e.value) for e in Exchange)]
    return render_template(
        template,
        section="search",
        words=words,
        exchange=exchange,
        hits=hits,
        places=found(words, _PLACES),
        exchanges=exchanges,
        most=_MOST,
    )
