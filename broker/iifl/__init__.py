"""IIFL (Symphony XTS)."""

from broker import catalog
from broker.families.xts import XtsBroker


class Iifl(XtsBroker):
    manifest = catalog.manifest("iifl")


BROKER = Iifl
