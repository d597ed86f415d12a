"""CompositEdge: its page returns an access token, which is traded for a session."""

from broker import catalog
from broker.families.xts import XtsBroker, login


class CompositEdge(XtsBroker):
    manifest = catalog.manifest("compositedge")
    opening = staticmethod(login.with_access_token)


BROKER = CompositEdge
