"""What the keys do."""

from __future__ import annotations

from flask import render_template

from blueprints.access import pages

blueprint = pages("help", prefix="/help")

KEYS = (
    ("/", "Search"),
    ("?", "This sheet"),
    ("↑ ↓", "Row up, down"),
    ("Enter", "Open row"),
    ("B", "Buy"),
    ("S", "Sell"),
    ("D", "Depth"),
    ("C", "Chart"),
    ("M", "Modify order, convert position"),
    ("T", "Stop and target of a position"),
    ("x", "Select row"),
    ("Del", "Remove, cancel (asks)"),
    ("Esc", "Close"),
    ("g h", "Home"),
    ("g w", "Watchlist"),
    ("g o", "Orders"),
    ("g p", "Positions"),
    ("g s", "Strategies"),
    ("g c", "Option chain"),
    ("⇧ K", "Kill switch"),
)


@blueprint.get("/keys")
def keys() -> str:
    """The sheet as a page, for whoever has no script."""
    return render_template("help/keys.html", keys=KEYS)
