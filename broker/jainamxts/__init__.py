"""Jainam: XTS with market data on the binary mount, and an access token for those who have one."""

from broker import catalog
from broker.families.xts import XtsBroker


class Jainam(XtsBroker):
    manifest = catalog.manifest("jainamxts")


BROKER = Jainam
