"""Paths of the contract that are not built: each knows its caller and says so with 501."""

from __future__ import annotations

from typing import Any

from restx_api.door import KeyIn, Subject
from restx_api.errors import Style

later = Subject("Not built yet")

_MESSAGES: dict[str, Any] = {
    "style": Style.PLAIN,
    "denied": 401,
    "denial": "Invalid or missing API key",
    "limit": "telegram",
    "key_first": True,
}
_QUERY: dict[str, Any] = {"key_in": KeyIn.QUERY}

later.later("GET", "/telegram/config", **_MESSAGES, **_QUERY)
later.later("POST", "/telegram/config", **_MESSAGES)
later.later("POST", "/telegram/start", **_MESSAGES)
later.later("POST", "/telegram/stop", **_MESSAGES)
later.later("POST", "/telegram/webhook", **{**_MESSAGES, "limit": ""})
later.later("GET", "/telegram/users", **_MESSAGES, **_QUERY)
later.later("POST", "/telegram/broadcast", **{**_MESSAGES, "limit": "broadcast"})
later.later("POST", "/telegram/notify", **_MESSAGES)
later.later("GET", "/telegram/stats", **_MESSAGES, **_QUERY)
later.later("GET", "/telegram/preferences", **_MESSAGES, **_QUERY)
later.later("POST", "/telegram/preferences", **_MESSAGES)
later.later("POST", "/whatsapp/notify", **{**_MESSAGES, "limit": "whatsapp"})
later.later("POST", "/portfolio/backtest", limit="portfolio")
later.later("POST", "/portfolio/tearsheet", limit="tearsheet")
later.later("POST", "/portfolio/holdings", limit="portfolio")
later.later("GET", "/sip/frequencies", limit="sip", **_QUERY)
later.later("POST", "/sip/backtest", limit="sip")
