"""Faults by ordinary calls: what a simulator does wrong, when, and drawn from one seed.

A fault acts on the wire (`transport.py`), in the dialect (the face's own error shapes) or in the exchange
(`book_lag`, `partial`). "before" means that the broker has not taken the request, "after" that it has.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

WIRE = frozenset(
    {
        "drop",        # close the connection without an answer
        "hang",        # never answer, hold the connection
        "delay",       # answer after `seconds`
        "trickle",     # answer at `rate` bytes a second
        "status",      # answer `status` with a page of HTML
        "html",        # answer 200 with a page of HTML
        "empty",       # answer 200 with nothing
        "truncate",    # answer with half the JSON, well framed
        "cut",         # announce the whole answer, send half, close
        "wrong_type",  # answer with every leaf turned into another type
        "redirect",    # answer 302 to `location`
        "bomb",        # answer with 1 GB of zeros, gzipped
        "error_status",  # the right body under HTTP `status`
    }
)  # fmt: skip
DIALECT = frozenset({"rate_limit", "expired", "refuse", "unavailable", "no_id"})
EXCHANGE = frozenset(
    {
        "unknown_status",
        "bad_row",
        "book_lag",
        "late_fill",
        "partial",
        "reject",
        "dup_update",
        "reorder",
        "lose_update",
    }
)
SOCKET = frozenset({"ws_close", "ws_silent", "ws_garbage"})
"""Drawn at each tick that a simulator sends."""

# Other names for the above: what a plain `fail_next(kind)` means, and the words of RELIABILITY 4.3.
SHORT: dict[str, dict[str, object]] = {
    "timeout": {"action": "hang", "phase": "after"},
    "drop_before_accept": {"action": "drop", "phase": "before"},
    "drop_after_accept": {"action": "drop", "phase": "after"},
    "disconnect": {"action": "drop", "phase": "after"},
    "500": {"action": "status", "status": 500, "phase": "before"},
    "500_before": {"action": "status", "status": 500, "phase": "before"},
    "502_after": {"action": "status", "status": 502, "phase": "after"},
    "503": {"action": "unavailable", "phase": "before"},
    "truncate_json": {"action": "truncate", "phase": "after"},
    "html_body": {"action": "html", "phase": "after"},
    "429": {"action": "rate_limit", "phase": "before"},
    "token_expired": {"action": "expired", "phase": "before"},
    "token_expire": {"action": "expired", "phase": "before"},
    "refuse_in_200": {"action": "refuse", "as": 200, "phase": "before"},
    "accept_in_500": {"action": "error_status", "status": 500, "phase": "after"},
    "half_frame": {"action": "cut", "phase": "after"},
    "gzip_bomb": {"action": "bomb"},
    "book_error": {"action": "status", "status": 500, "match": "orders|trades|positions|holdings|funds"},
    "late_fill_after_cancel": {"action": "late_fill"},
    "ws_half_open": {"action": "ws_silent"},
}


@dataclass(slots=True)
class Fault:
    """One fault. `match` is a pattern on the face's operation name ("place", "orders" …)."""

    action: str
    phase: str = "after"
    match: str = ".*"
    probability: float = 1.0
    count: int = -1
    status: int = 500
    seconds: float = 2.0
    rate: float = 200.0
    location: str = "http://127.0.0.1:9/elsewhere"
    extra: dict[str, object] = field(default_factory=dict)

    @classmethod
    def read(cls, raw: Mapping[str, object]) -> Fault:
        """From a plan's entry, by either of its names; unknown keys are kept in `extra`."""
        raw = {**SHORT.get(str(raw.get("action")), {}), **{k: v for k, v in raw.items() if k != "action"},
               "action": SHORT.get(str(raw.get("action")), raw).get("action")}  # fmt: skip
        known = {k: v for k, v in raw.items() if k in cls.__dataclass_fields__ and k != "extra"}
        rest = {k: v for k, v in raw.items() if k not in known}
        fault = cls(**known, extra=rest)  # type: ignore[arg-type]
        if fault.action not in WIRE | DIALECT | EXCHANGE | SOCKET:
            raise ValueError(f"no fault called {fault.action!r}")
        return fault


class FaultPlan:
    """The faults in force, and what has been done. All draws come from one seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self.faults: list[Fault] = []
        self.done: list[tuple[str, str]] = []

    def load(self, entries: list[Mapping[str, object]], seed: int | None = None) -> None:
        """Replace the plan; an empty list heals."""
        if seed is not None:
            self._random = random.Random(seed)
        self.faults = [Fault.read(entry) for entry in entries]

    def fail_next(self, kind: str, match: str = ".*", **more: object) -> None:
        """One fault for the next request whose operation matches."""
        entry = {"action": kind, "match": match, "count": 1, **more}
        self.faults.insert(0, Fault.read(entry))

    def pick(self, op: str, actions: frozenset[str] = WIRE | DIALECT) -> Fault | None:
        """The fault for this request, taken off the plan when it was counted out."""
        for fault in self.faults:
            if fault.action not in actions or not re.fullmatch(fault.match, op):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            if fault.count > 0:
                fault.count -= 1
                if not fault.count:
                    self.faults.remove(fault)
            self.done.append((op, fault.action))
            return fault
        return None
