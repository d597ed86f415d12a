"""One deliberately broken build, drawn afresh, is caught by the storm; all eight: `manage.py bench rig`."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from bench import Context
from bench.rig import judged
from tests.faults import mutants
from tests.faults.world import patched_tree


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_a_broken_build_is_still_a_program(name: str, tmp_path: Path) -> None:
    patches = mutants.MUTANTS[name].patches
    tree = patched_tree(tmp_path / "tree", patches)
    for path in {patch.path for patch in patches}:
        compile((tree / path).read_text(encoding="utf-8"), path, "exec")


@pytest.mark.campaign
@pytest.mark.timeout(400)
def test_a_broken_build_is_caught(tmp_path: Path) -> None:
    seed = secrets.randbelow(1_000_000)
    name = secrets.choice(list(mutants.MUTANTS))
    [figure] = judged(Context(tmp_path, 1, print, seed=seed), [name])
    assert figure.is_met, (seed, name)
