"""Orders under a storm of broker faults: none lost, doubled, invented, lied about or left unknown.

Two brokers' dialects, real processes, faults drawn from `--seed`; `--orders` over both accounts together.
"""

from __future__ import annotations

import json

from bench import Context, Figure
from tests.faults import campaign
from tests.faults.campaign import RESOLVED_WITHIN, Report
from tests.faults.ledger import WORDS
from tests.faults.world import World

BROKERS = ("zerodha", "flattrade")


def run(context: Context) -> list[Figure]:
    context.say(f"seed {context.seed}, {context.orders} orders")
    with World(context.scratch / "world", BROKERS, context.seed) as world:
        report = campaign.run(world, campaign.drivers_of(world, context.seed), context.orders)
    for word, why in report.verdict.found.items():
        for line in why[:20]:
            context.say(f"{word}: {line}")
    context.say(json.dumps(summary(report, context.seed)))
    return figures(report)


def summary(report: Report, seed: int) -> dict[str, object]:
    """The run in one line."""
    return {
        "seed": seed,
        "wishes": len(report.wishes),
        "told": dict(report.told),
        "faults": sum(report.faults.values()),
        "storm_seconds": round(report.storm_seconds, 1),
        "resolve_seconds": round(report.resolve_seconds, 1),
        **report.verdict.counts,
    }


def figures(report: Report) -> list[Figure]:
    how = f"{len(report.wishes)} wishes, {sum(report.faults.values())} faults, {report.storm_seconds:.0f} s of storm"
    counts = report.verdict.counts
    return [
        *(Figure(name=word, value=counts[word], unit="", target=0, how=how) for word in WORDS),
        Figure(
            name="all told after the storm", value=report.resolve_seconds, unit="s", target=RESOLVED_WITHIN
        ),
    ]
