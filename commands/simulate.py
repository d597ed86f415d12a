"""Run a broker's simulator to rehearse against: its real HTTP and socket dialect, over a paper exchange.

Prints one JSON line with the addresses, the credentials that a login needs, and the control address, then serves
until it is interrupted.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading

from tests.simulators.faces import simulator, spoken


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=spoken(), metavar="NAME", help=f"one of: {', '.join(spoken())}")
    parser.add_argument("--port", type=int, default=0, help="of the HTTP face (default: a free one)")
    parser.add_argument("--seed", type=int, default=0, help="of prices and faults (default 0)")
    parser.add_argument("--redirect", metavar="URL", help="where its login page returns to")
    parser.add_argument(
        "--post-back", action="store_true", help="its login page posts its answer, where it can"
    )
    parser.add_argument("--limits", action="store_true", help="enforce the broker's rate limits")
    parser.add_argument("--strict", action="store_true", help="refuse what the broker refuses of programs")
    parser.add_argument("--still", action="store_true", help="prices move only when told to")


def run(args: argparse.Namespace) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    face = simulator(args.name, seed=args.seed)
    face.enforce_limits = args.limits
    face.strict = args.strict
    face.posts_back = args.post_back
    face.moving = not args.still
    if args.redirect:
        face.returns_to(args.redirect)
    face.start(args.port)
    print(json.dumps(face.announcement()), flush=True)
    stop.wait()
    face.stop()
    return 0
