"""The trigger engine of a worker, made from the platform's services."""

from __future__ import annotations

from database.triggers import Trigger
from services.event_bus import alert_topic, order_topic
from services.platform import Platform
from services.tick_bus import TickSubscriber
from services.trigger_engine import TriggerEngine
from services.trigger_fires import TriggerFires


def build_trigger_engine(platform: Platform) -> TriggerEngine:
    """What goes wrong with a trigger is an alert of its owner, rung at once, and rings that its account has news."""

    def tell(trigger: Trigger, words: str) -> None:
        if platform.strategy_alerts.tell_guard(trigger.user_id, trigger.id, trigger.symbol, words):
            platform.event_bus.ring(alert_topic(trigger.user_id))
            platform.event_bus.ring(order_topic(trigger.account_id))

    fires = TriggerFires(
        platform.databases["orders"],
        platform.clock,
        platform.accounts,
        platform.order_plans,
        platform.portfolio,
        tell,
    )
    return TriggerEngine(
        platform.databases["orders"],
        platform.clock,
        platform.accounts,
        platform.sessions,
        platform.orders,
        platform.market_data,
        platform.calendar,
        TickSubscriber(platform.bus),
        platform.snapshots,
        fires,
        tell,
    )
