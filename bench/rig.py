"""Eight builds broken on purpose; the fault campaign must catch every one of them.

Each is a patched copy of the tree, started over the same accounts and run under the storm of a sound build. A build
that passes is a hole in the rig.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from bench import Context, Figure
from tests.faults import campaign, mutants
from tests.faults.world import World, patched_tree

ORDERS = 100
BROKER = "zerodha"


def run(context: Context) -> list[Figure]:
    return judged(context, mutants.MUTANTS)


def judged(context: Context, names: Iterable[str]) -> list[Figure]:
    """A figure a build: 1 when the campaign found something wrong with it, else 0."""
    with World(context.scratch / "world", (BROKER,), context.seed) as world:
        return [_judged(context, world, name, number) for number, name in enumerate(names)]


def _judged(context: Context, world: World, name: str, number: int) -> Figure:
    mutant = mutants.MUTANTS[name]
    tree = patched_tree(context.scratch / f"tree-{number}", mutant.patches)
    world.restart(tree)
    try:
        drivers = campaign.drivers_of(world, context.seed, first=1 + ORDERS * number)
        kill = "web" if mutant.needs_kill else ""
        report = campaign.run(world, drivers, ORDERS, kill=kill, early=True)
    finally:
        shutil.rmtree(tree)
    counts = {word: count for word, count in report.verdict.counts.items() if count}
    context.say(f"seed {context.seed}: {name}: {counts or 'NOT CAUGHT'}")
    how = ", ".join(f"{count} {word}" for word, count in counts.items())
    return Figure(name=name, value=float(bool(counts)), unit="", target=1, better="higher", how=how)
