"""Load a broker's master of instruments, or tell which ones are in use."""

from __future__ import annotations

import argparse
from pathlib import Path

from commands import opened
from config import SettingsError
from domain.clock import IST
from domain.masters import LoadReport


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    load = actions.add_parser("load", help="put a broker's master file in place of the one in use")
    load.add_argument("file", type=Path, metavar="FILE", help="as the broker serves it: plain, .gz or .zip")
    load.add_argument("--broker", required=True, metavar="NAME")
    load.add_argument("--format", metavar="NAME", help="read it as this broker's or family's master")
    load.add_argument("--force", action="store_true", help="accept one that is far smaller or larger")
    actions.add_parser("paper", help="make the paper exchange's master for today, unless it is there")
    actions.add_parser("status", help="the master in use of every broker")


def run(args: argparse.Namespace) -> int:
    return {"load": load, "paper": paper, "status": status}[args.action](args)


def load(args: argparse.Namespace) -> int:
    if not args.file.exists():
        raise SettingsError(f"there is no {args.file}")
    with opened.platform(args) as platform:
        report = platform.instruments.load_file(args.file, args.broker, args.format, force=args.force)
    tell(report)
    return 0


def paper(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        tell(platform.instruments.load_paper())
    return 0


def status(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        for master in platform.instruments.status():
            at = master.loaded_at.astimezone(IST).strftime("%Y-%m-%d %H:%M")
            aside = f", {master.put_aside} put aside" if master.put_aside else ""
            print(
                f"{master.broker:<14} {master.rows:>7,} instruments{aside}, loaded {at} IST from {master.source}"
            )
            counts = platform.instruments.counts(master.broker).items()
            print(f"{'':<14} {', '.join(f'{exchange} {count:,}' for exchange, count in counts)}")
    return 0


def tell(report: LoadReport) -> None:
    """What a load did, reason by reason."""
    if not report.changed:
        print(f"{report.broker}: {report.rows:,} instruments, in use already")
        return
    print(f"{report.broker}: {report.rows:,} of {report.read:,} rows in use after {report.seconds:.1f} s")
    for reason, count in sorted(report.put_aside.items(), key=lambda item: -item[1]):
        print(f"  put aside {count:,}: {reason} ({report.examples[reason]})")
