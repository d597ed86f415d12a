"""Zebu (MYNT): a Noren house that takes stop-market orders bare and margins order by order."""

from broker import catalog
from broker.families.noren import NorenBroker


class Zebu(NorenBroker):
    manifest = catalog.manifest("zebu")
    margin_route = "GetOrderMargin"
    # Carried by every placement. https://zebumyntapi.web.app, read 2026-11-24
    place_extra = {"mkt_protection": "0"}  # noqa: RUF012


BROKER = Zebu
