"""Indiabulls: XTS with market data on the binary mount."""

from broker import catalog
from broker.families.xts import XtsBroker


class Indiabulls(XtsBroker):
    manifest = catalog.manifest("ibulls")


BROKER = Indiabulls
