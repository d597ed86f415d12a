"""Market data with a session of its own: where that has ended it is opened again by whoever can, and asked once more.

For brokers whose manifest says `data_session`. Orders and books go on without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, TypeVar

from broker.http import Call
from broker.sequence import RestBroker
from domain.errors import BrokerError, SessionOver

Result = TypeVar("Result")


class DataSessionOver(BrokerError):
    """The market data service does not take its token any more."""


class DataSessionBroker(RestBroker):
    """data_role  the address of market data; data_token: its token's name in the session
    token_header  where calls carry it
    """

    data_role: ClassVar[str]
    data_token: ClassVar[str]
    token_header: ClassVar[str]

    def refused_token(self, call: Call, over: SessionOver) -> BrokerError | SessionOver:
        """Any other login with the keys of market data ends its session."""
        if call.url.startswith(self.url(self.data_role)):
            name, title = self.manifest.name, self.manifest.title
            return DataSessionOver(
                name, text=f"{title}'s market data session has ended ({over}). Log in again for prices."
            )
        return super().refused_token(call, over)

    def read(self, call: Call, parse: Callable[[object], Result]) -> Result:
        """Where the market data session has ended, it is opened again and the call repeated, once."""
        try:
            return super().read(call, parse)
        except DataSessionOver:
            fresh = self.renew_data({**self.session.tokens, self.data_token: call.headers[self.token_header]})
            if fresh is None:
                raise
        self.session = replace(self.session, tokens=fresh)
        headers = {**call.headers, self.token_header: fresh[self.data_token]}
        return super().read(replace(call, headers=headers), parse)
