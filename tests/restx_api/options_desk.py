"""The desk with options of NIFTY over a simulated market whose price of the index is held still."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from domain.model import Exchange
from services.market_data import MarketData
from services.option_chain import OptionChains
from services.option_greeks import OptionGreeksDesk
from services.option_orders import OptionOrders
from services.options import Options
from tests.restx_api.desk import Desk
from tests.services.market_world import MarketBroker, Masters, OneFeed, StandingClock, caller, cash, chain
from tests.services.order_world import RELIANCE

EXPIRY = date(2026, 12, 1)


class OptionsDesk(Desk):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        legs = [leg for leg in chain("NIFTY", EXPIRY, range(23500, 24550, 50)) if "24050PE" not in leg.symbol]
        masters = Masters.of([cash("NIFTY", Exchange.NSE_INDEX, "0.05"), RELIANCE, *legs])
        clock = StandingClock()
        self.market = MarketBroker(clock)
        data = MarketData(masters, OneFeed(self.market), clock)
        quote = data.quote(caller(), "NIFTY", Exchange.NSE_INDEX)
        self.market.overrides["NIFTY"] = replace(quote, last_price=24010.0)
        masters.get = lambda broker, exchange, symbol: masters.rows.get((exchange, symbol))
        self.world.orders._instruments = masters
        options = Options(masters, OneFeed(self.market), data)
        self.platform.options = options
        self.platform.option_chains = OptionChains(options, data, clock)
        self.platform.option_greeks = OptionGreeksDesk(options, data, clock)
        self.platform.option_orders = OptionOrders(options, self.platform.order_plans)
