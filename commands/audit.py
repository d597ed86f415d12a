"""The audit trail: `audit verify` checks the chain, `audit export` prints it, one JSON object a line."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from commands import opened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["verify", "export"])


def run(args: argparse.Namespace) -> int:
    with opened.platform(args) as platform:
        if args.what == "verify":
            rows, wrong = platform.audit.verify()
            print(f"{rows} rows: " + (wrong or "the chain is whole"))
            return 1 if wrong else 0
        names: dict[int, str] = {}
        for sealed in platform.audit.export():
            who = sealed.entry.user_id
            if who is not None and who not in names:
                names |= platform.accounts.names([who])
            row = asdict(sealed.entry) | {
                "at": sealed.entry.at.isoformat(),
                "seq": sealed.seq,
                "previous": sealed.previous,
                "hash": sealed.hash,
                "name": names.get(who or 0, ""),
            }
            sys.stdout.write(json.dumps(row, sort_keys=True) + "\n")
    return 0
