"""`python -m commands VERB ...`: imports that verb alone and runs it."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from commands import verbs
from config import SettingsError
from domain.errors import PlatformError


def parser_for(verb: str) -> argparse.ArgumentParser:
    """The command line of one verb."""
    module = importlib.import_module(f"commands.{verb}")
    parser = argparse.ArgumentParser(
        prog=f"manage.py {verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--data-dir", metavar="DIR", help="an install of its own in DIR (default: var/)")
    parser.set_defaults(run=module.run, passes_on=False)
    module.add_arguments(parser)
    return parser


def take_data_dir(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """`--data-dir DIR`, wherever it stands, and the other arguments."""
    found, rest = None, []
    words = iter(arguments)
    for word in words:
        if word == "--data-dir" or word.startswith("--data-dir="):
            found = word.partition("=")[2] or next(words, "")
        else:
            rest.append(word)
    if found == "":
        raise SystemExit("error: --data-dir needs a directory")
    return Path(found) if found else None, rest


def main(arguments: list[str]) -> int:
    """The exit code of one verb. What the person can mend is one line on stderr, without a traceback."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(verbs.usage())
        return 0
    verb, *rest = arguments
    if verb not in verbs.summaries():
        print(f"There is no verb {verb!r}.\n\n{verbs.usage()}", file=sys.stderr)
        return 2
    data_dir, rest = take_data_dir(rest)
    parser = parser_for(verb)
    parsed, unknown = parser.parse_known_args(rest)
    parsed.rest = unknown
    parsed.data_dir = data_dir
    if parsed.rest and not parsed.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(parsed.rest)}")
    try:
        return int(parsed.run(parsed))
    except (SettingsError, PlatformError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
