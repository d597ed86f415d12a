"""kill -9 of web, worker and exchange under orders, at random moments and at named points.

No order is lost or doubled by it, the platform is ready again within 10 s, and no process outlives the install.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

from bench import Context, Figure
from tests.faults import campaign, points
from tests.faults.campaign import Report
from tests.faults.crashes import Crashes, Toll, drawn
from tests.faults.ledger import WORDS
from tests.faults.world import Patch, World, patched_tree

READY_WITHIN = 10.0
SPACING = 11.0
"""Seconds between kills of a long campaign: a role that ends often is started again later each time."""


def run(context: Context) -> list[Figure]:
    context.say(f"seed {context.seed}, {context.trials} kills")
    report, toll = killed(context.scratch, context.seed, drawn(context.trials, random.Random(context.seed)))
    for word, why in (*report.verdict.found.items(), *problems(toll).items()):
        for line in why[:20]:
            context.say(f"{word}: {line}")
    context.say(json.dumps(summary(report, toll, context.seed)))
    return figures(report, toll)


def killed(scratch: Path, seed: int, kills: list[str], patches: Sequence[Patch] = ()) -> tuple[Report, Toll]:
    """A campaign of these kills, from its install's first start to its last process; `patches` of the build besides."""
    tree = patched_tree(scratch / "tree", [*points.patches(scratch), *patches])
    with World(scratch / "world", ("zerodha", "flattrade"), seed, tree, on_paper=True) as world:
        crashes = Crashes(world, scratch, random.Random(seed))
        report = crashes.run(kills, seed, SPACING if len(kills) > len(points.KILLS) else 0.0)
    time.sleep(1.0)
    crashes.toll.orphans += world.orphans()
    return report, crashes.toll


def problems(toll: Toll) -> dict[str, list[str]]:
    return {"strategy": toll.strategy, "replay": toll.replay, "orphans": toll.orphans}


def summary(report: Report, toll: Toll, seed: int) -> dict[str, object]:
    """The run in one line."""
    return {
        "seed": seed,
        "wishes": len(report.wishes),
        "told": dict(report.told),
        "kills": [[what, round(seconds, 1)] for what, seconds in toll.ready],
        "missed": toll.missed,
        "storm_seconds": round(report.storm_seconds, 1),
        "resolve_seconds": round(report.resolve_seconds, 1),
        **report.verdict.counts,
        **{word: len(why) for word, why in problems(toll).items()},
    }


def figures(report: Report, toll: Toll) -> list[Figure]:
    how = f"{len(report.wishes)} wishes, {len(toll.ready)} kills"
    counts = report.verdict.counts
    return [
        *(Figure(name=word, value=counts[word], unit="", target=0, how=how) for word in WORDS),
        Figure(name="slowest ready again", value=toll.slowest, unit="s", target=READY_WITHIN),
        Figure(name="points nobody came by", value=len(toll.missed), unit=""),
        Figure(name="wrong with the hosted strategy", value=len(toll.strategy), unit="", target=0),
        Figure(name="journal and API differ", value=len(toll.replay), unit="", target=0),
        Figure(name="orphans", value=len(toll.orphans), unit="", target=0),
        Figure(
            name="all told at the end",
            value=report.resolve_seconds,
            unit="s",
            target=campaign.RESOLVED_WITHIN,
        ),
    ]
