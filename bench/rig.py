"""Eight builds broken on purpose: the fault campaign must catch every one of them, and find nothing in a sound build.

Each is a patched copy of the tree, started over the accounts of the last, under the storm and the kills that a sound
build passes. A broken build that passes is a hole in the rig.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import Context, Figure
from tests.faults import campaign, mutants
from tests.faults.world import World, patched_tree

ORDERS = 120
BROKERS = ("zerodha", "flattrade")
KILLS = ("web", "worker", "web")
WORLDS = 2
"""Campaigns at a time: most of one is waiting."""


def run(context: Context) -> list[Figure]:
    names = [mutants.SOUND, *mutants.MUTANTS]
    with ThreadPoolExecutor(WORLDS) as pool:
        told = list(pool.map(lambda n: judged(context, names[n::WORLDS], f"world-{n}"), range(WORLDS)))
    return [figure for figures in told for figure in figures]


def judged(context: Context, names: Sequence[str], place: str = "world") -> list[Figure]:
    """A figure a build: how many things the campaign found wrong with it."""
    home = context.scratch / place
    trees = [home / f"tree-{number}" for number, _ in enumerate(names)]
    first = patched_tree(trees[0], mutants.patches(names[0]))
    with World(home, BROKERS, context.seed, first) as world:
        return [
            _judged(context, world, name, number, tree)
            for number, (name, tree) in enumerate(zip(names, trees, strict=True))
        ]


def _judged(context: Context, world: World, name: str, number: int, tree: Path) -> Figure:
    if number:
        world.restart(patched_tree(tree, mutants.patches(name)))
    try:
        drivers = campaign.drivers_of(world, context.seed, first=1 + ORDERS * number)
        report = campaign.run(world, drivers, ORDERS, KILLS, early=True)
    finally:
        shutil.rmtree(tree)
    counts = {word: count for word, count in report.verdict.counts.items() if count}
    how = ", ".join(f"{count} {word}" for word, count in counts.items()) or "nothing found"
    took = f"{report.storm_seconds:.0f} s of storm, {report.resolve_seconds:.0f} s after it"
    context.say(f"seed {context.seed}: {name}: {how} ({took})")
    if name == mutants.SOUND:
        for word, why in report.verdict.found.items():
            for line in why[:20]:
                context.say(f"{word}: {line}")
        return Figure(name=name, value=sum(counts.values()), unit="wrong", target=0, how=how)
    return Figure(name=name, value=sum(counts.values()), unit="wrong", target=1, better="higher", how=how)
