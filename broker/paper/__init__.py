"""The paper exchange: a broker that we own. `PaperBroker` is its client; `__main__` runs the exchange itself."""

from broker.paper.client import PaperBroker

BROKER = PaperBroker
