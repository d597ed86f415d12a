"""5paisa's XTS server, which is not 5paisa's own API."""

from broker import catalog
from broker.families.xts import XtsBroker


class FivePaisaXts(XtsBroker):
    manifest = catalog.manifest("fivepaisaxts")


BROKER = FivePaisaXts
