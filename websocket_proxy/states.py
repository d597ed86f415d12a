"""How each feed is, as its owner last told it. A feed that has not been heard of for three seconds is not live."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from services.tick_bus import FeedState
from websocket_proxy import messages

if TYPE_CHECKING:
    from websocket_proxy.access import Identity

log = logging.getLogger(__name__)

UNHEARD: Final = 3.0
_WORDS: Final = {
    "live": "connected",
    "stale": "stale",
    "reconnecting": "reconnecting",
    "expired": "disconnected",
}
_decoder = msgspec.json.Decoder(FeedState)


class FeedStates:
    """By feed name."""

    def __init__(self, now: Callable[[], float], changed: Callable[[str], None]) -> None:
        """`changed(feed)` hears of each new state."""
        self._now = now
        self._changed = changed
        self._states: dict[str, tuple[FeedState, float]] = {}

    def hear(self, payload: bytes) -> None:
        """A state from the bus."""
        try:
            state = _decoder.decode(payload)
        except msgspec.MsgspecError:
            log.warning("a feed state of %s bytes could not be read", len(payload))
            return
        before = self._states.get(state.feed)
        self._states[state.feed] = (state, self._now())
        if before is None or before[0].state != state.state:
            self._changed(state.feed)

    def look(self) -> None:
        """Notice feeds whose owner has gone silent."""
        for feed, (state, heard_at) in list(self._states.items()):
            if state.state == "live" and self._now() - heard_at > UNHEARD:
                gone = FeedState(feed, state.account, "reconnecting", int(time.time() * 1000), "no word")
                self._states[feed] = (gone, heard_at)
                self._changed(feed)

    def words(self) -> dict[str, str]:
        """Feed -> how it is."""
        return {feed: state.state for feed, (state, _) in self._states.items()}

    def is_live(self, feed: str) -> bool:
        return self.state(feed).state == "live"

    def state(self, feed: str) -> FeedState:
        """Never heard of counts as reconnecting."""
        known = self._states.get(feed)
        return known[0] if known else FeedState(feed, "", "reconnecting", 0, "not heard of yet")

    def word(self, identity: Identity) -> str:
        """The contract's `adapter_status`."""
        return _WORDS.get(self.state(identity.feed).state, "disconnected")

    def frame(self, identity: Identity) -> bytes:
        """The `feed_status` frame of an identity's feed."""
        state = self.state(identity.feed)
        return messages.feed_status(identity.broker, state.state, state.since, state.words)
