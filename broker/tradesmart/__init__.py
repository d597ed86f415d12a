"""TradeSmart: a Noren house with its own pots of a holding, which margins order by order."""

from broker import catalog
from broker.families.noren import NorenBroker
from broker.tradesmart import instruments


class TradeSmart(NorenBroker):
    manifest = catalog.manifest("tradesmart")
    margin_route = "GetOrderMargin"
    holding_parts = ("holdqty",)
    holding_less = ()
    masters = instruments


BROKER = TradeSmart
