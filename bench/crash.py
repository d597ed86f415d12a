"""kill -9 of web, worker and exchange under orders, at random moments and at named points.

No order is lost or doubled by it, the platform is ready again within 10 s, and no process outlives the install.
"""

from __future__ import annotations

import json
import random
import time

from bench import Context, Figure
from tests.faults import campaign, points
from tests.faults.campaign import Report
from tests.faults.crashes import Crashes
from tests.faults.ledger import WORDS
from tests.faults.world import World, patched_tree

READY_WITHIN = 10.0
SPACING = 11.0
"""Seconds between kills of a long campaign: a role that ends often is started again later each time."""


def run(context: Context) -> list[Figure]:
    context.say(f"seed {context.seed}, {context.trials} kills")
    chance = random.Random(context.seed)
    tree = patched_tree(context.scratch / "tree", points.patches(context.scratch))
    with World(context.scratch / "world", ("zerodha", "flattrade"), context.seed, tree) as world:
        crashes = Crashes(world, context.scratch, chance)
        spacing = SPACING if context.trials > len(points.KILLS) else 0.0
        report = crashes.run(context.trials, context.seed, spacing)
    time.sleep(1.0)
    orphans = world.orphans()
    for word, why in report.verdict.found.items():
        for line in why[:20]:
            context.say(f"{word}: {line}")
    context.say(json.dumps({"seed": context.seed, "ready": crashes.ready, **report.verdict.counts}))
    return figures(report, crashes, orphans)


def figures(report: Report, crashes: Crashes, orphans: list[str]) -> list[Figure]:
    how = f"{len(report.wishes)} wishes, {len(crashes.ready)} kills"
    counts = report.verdict.counts
    slowest = max((seconds for _, seconds in crashes.ready), default=0.0)
    return [
        *(Figure(name=word, value=counts[word], unit="", target=0, how=how) for word in WORDS),
        Figure(name="slowest ready again", value=slowest, unit="s", target=READY_WITHIN),
        Figure(name="orphans", value=len(orphans), unit="", target=0),
        Figure(
            name="all told at the end",
            value=report.resolve_seconds,
            unit="s",
            target=campaign.RESOLVED_WITHIN,
        ),
    ]
