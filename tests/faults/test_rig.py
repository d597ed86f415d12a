"""Builds broken on purpose are caught by the storm that a sound build passes; all of them: `manage.py bench rig`."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from bench import Context
from bench.rig import judged, run
from tests.faults import mutants
from tests.faults.world import patched_tree

AT_ONCE = sorted(name for name, mutant in mutants.MUTANTS.items() if not mutant.lingers)
DRAWN = 1


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_broken_build_is_still_a_program(name: str, tmp_path: Path) -> None:
    patches = mutants.patches(name)
    tree = patched_tree(tmp_path / "tree", patches)
    for path in {patch.path for patch in patches}:
        compile((tree / path).read_text(encoding="utf-8"), path, "exec")


@pytest.mark.journey
@pytest.mark.timeout(400)
def test_a_broken_build_is_caught(tmp_path: Path) -> None:
    """One of those that show at once; the others show after the minute that an answer may take."""
    seed = secrets.randbelow(1_000_000)
    names = secrets.SystemRandom().sample(AT_ONCE, DRAWN)
    figures = judged(Context(tmp_path, 1, print, seed=seed), names)
    assert all(figure.is_met for figure in figures), (seed, figures)


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_every_broken_build_is_caught_and_a_sound_one_passes(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    figures = run(Context(tmp_path, 1, print, seed=seed))
    assert all(figure.is_met for figure in figures), (seed, figures)
