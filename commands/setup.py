"""Prepare an install: secrets, stores, instruments, page assets. Runs again at no cost; touches nothing it need not."""

from __future__ import annotations

import argparse
import os
import sys

import config
from commands import prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--for-run", action="store_true", help="only what a start cannot do without")


def run(args: argparse.Namespace) -> int:
    os.umask(0o077)
    settings = config.load(args.data_dir)
    steps = {**prepare.NEEDED, **({} if args.for_run else prepare.LATER)}
    for name, step in steps.items():
        print(f"{name:<12} ", end="", file=sys.stderr, flush=True)
        print(step(settings), file=sys.stderr, flush=True)
    if not args.for_run:
        print(f"\nprepared: {settings.data_dir}\nstart it with: python3 manage.py run", file=sys.stderr)
    return 0
