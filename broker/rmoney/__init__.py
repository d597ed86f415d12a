"""RMoney: its page returns the finished session; ticks come from the JSON mount, with 1501 for LTP."""

from broker import catalog
from broker.families.xts import XtsBroker, login
from broker.families.xts.stream import TOUCHLINE, XtsStream


class RMoneyStream(XtsStream):
    last_price_code = TOUCHLINE


class RMoney(XtsBroker):
    manifest = catalog.manifest("rmoney")
    opening = staticmethod(login.with_session)
    stream = RMoneyStream


BROKER = RMoney
