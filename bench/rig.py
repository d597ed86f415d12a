"""Eight builds broken on purpose; the fault campaign must catch every one of them.

Each is a patched copy of the tree, run under the same storm as a sound build. A build that passes is a hole in the rig.
"""

from __future__ import annotations

import shutil

from bench import Context, Figure
from tests.faults import campaign, mutants
from tests.faults.world import World, patched_tree

ORDERS = 100


def run(context: Context) -> list[Figure]:
    return [judged(context, name) for name in mutants.MUTANTS]


def judged(context: Context, name: str) -> Figure:
    """1 when the campaign found something wrong with this build, else 0."""
    mutant = mutants.MUTANTS[name]
    tree = patched_tree(context.scratch / "tree", mutant.patches)
    try:
        with World(context.scratch / "world", mutant.brokers, context.seed, tree) as world:
            drivers = campaign.drivers_of(world, context.seed)
            report = campaign.run(world, drivers, ORDERS, kill="web" if mutant.needs_kill else "")
    finally:
        shutil.rmtree(tree)
        shutil.rmtree(context.scratch / "world", ignore_errors=True)
    counts = {word: count for word, count in report.verdict.counts.items() if count}
    context.say(f"seed {context.seed}: {name}: {counts or 'NOT CAUGHT'}")
    how = ", ".join(f"{count} {word}" for word, count in counts.items())
    return Figure(name=name, value=float(bool(counts)), unit="", target=1, better="higher", how=how)
