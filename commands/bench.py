"""Measure a part of the product: each figure beside its target and how it was measured.

`bench` alone names the benches. `--check` exits 1 when a figure misses its target.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import platform
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

import bench
import config
from bench import Context, Figure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        type=lambda name: name.replace("-", "_"),
        choices=sorted(benches()),
        metavar="NAME",
    )
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure misses its target")
    parser.add_argument(
        "--runs", type=int, default=5, help="how often to repeat (default 5); figures are medians"
    )
    parser.add_argument("--seed", type=int, help="of a campaign (default: a fresh one, which it prints)")
    parser.add_argument("--orders", type=int, default=200, help="that a campaign places (default 200)")
    parser.add_argument("--trials", type=int, default=6, help="kills of a crash campaign (default 6)")
    parser.add_argument(
        "--scratch", type=Path, help="measure on this directory's disk, not the one of --data-dir"
    )


def run(args: argparse.Namespace) -> int:
    if args.name is None:
        for name, words in benches().items():
            print(f"  {name:<14} {words}")
        return 0
    home = args.scratch or config.places(args.data_dir).data_dir
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    module = importlib.import_module(f"bench.{args.name}")
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=home) as scratch:
        figures = module.run(_context(Path(scratch), args))
    print(table(figures))
    missed = [figure.name for figure in figures if not figure.is_met]
    if missed:
        print(f"\nmissed: {', '.join(missed)}")
    return 1 if missed and args.check else 0


def _end(_signal: int, _frame: FrameType | None) -> None:
    """A bench that is asked to stop ends what it started, as it does after Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(143)


def _context(scratch: Path, args: argparse.Namespace) -> Context:
    seed = secrets.randbelow(1_000_000) if args.seed is None else args.seed
    return Context(scratch, max(1, args.runs), say, seed=seed, orders=args.orders, trials=args.trials)


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def benches() -> dict[str, str]:
    """Name -> first line of its docstring, of every module of bench/ that has `run(context)`."""
    found = {}
    for path in sorted(Path(bench.__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").split("\n", 1)[0]
    return found


def table(figures: list[Figure]) -> str:
    """The figures for a person, the machine named first: a figure without it says little."""
    cores = os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    lines = [f"{platform.machine()}, {cores} cores{load}, Python {platform.python_version()}", ""]
    width = max((len(figure.name) for figure in figures), default=0)
    for figure in figures:
        mark = " " if figure.target is None else "+" if figure.is_met else "!"
        sign = "<=" if figure.better == "lower" else ">="
        target = f"{sign} {figure.target:g} {figure.unit}" if figure.target is not None else ""
        value = f"{figure.value:,.3f}" if figure.value < 100 else f"{figure.value:,.0f}"
        lines.append(
            f"{mark} {figure.name:<{width}}  {value:>12} {figure.unit:<9} {target:<18} {figure.how}".rstrip()
        )
    return "\n".join(lines)
