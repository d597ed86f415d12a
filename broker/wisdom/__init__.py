"""Wisdom Capital: plain XTS."""

from broker import catalog
from broker.families.xts import XtsBroker


class Wisdom(XtsBroker):
    manifest = catalog.manifest("wisdom")


BROKER = Wisdom
