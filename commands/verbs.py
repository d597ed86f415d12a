"""Which verbs there are: the modules of this folder with `add_arguments(parser)` and `run(args) -> int`.

Standard library only: `manage.py` lists the verbs before anything is installed.
"""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).resolve().parent
_FACE = {"add_arguments", "run"}


def summaries() -> dict[str, str]:
    """Verb -> the first line of its module's docstring, in alphabetical order. Nothing is imported."""
    found = {}
    for path in sorted(HERE.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} >= _FACE:
            found[path.stem] = (ast.get_docstring(tree) or "").split("\n", 1)[0]
    return found


def usage() -> str:
    """The help page: a line a verb."""
    rows = "\n".join(f"  {verb:<12} {words}" for verb, words in summaries().items())
    return (
        "usage: python3 manage.py VERB [--data-dir DIR] ...\n\n"
        f"{rows}\n\n"
        "`python3 manage.py VERB --help` says more. Start with: python3 manage.py run"
    )
