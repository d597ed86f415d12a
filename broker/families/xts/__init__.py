"""Symphony XTS: two services (orders, market data) with a token each, JSON in and out, ticks over Socket.IO."""

from broker.families.xts import login
from broker.families.xts.client import XtsBroker

__all__ = ["XtsBroker", "login"]
