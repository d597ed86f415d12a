"""Shoonya: a Noren house whose charts alone still want the token in a form body."""

from broker import catalog
from broker.families.noren import NorenBroker
from broker.shoonya import instruments


class Shoonya(NorenBroker):
    manifest = catalog.manifest("shoonya")
    keyed_routes = frozenset({"TPSeries", "EODChartData"})
    masters = instruments


BROKER = Shoonya
