#!/usr/bin/env python3
"""Everything the product does from a command line: `python3 manage.py VERB`.

Prepares `.venv` with the interpreter that runs it, then hands over to `commands/`. Standard library only:
it works on a fresh clone with nothing but Python.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
NEEDED = (3, 11)
_PINNED = re.compile(r"^[A-Za-z0-9][\w.-]*==", re.MULTILINE)
_PIP_NAMES = re.compile(r"(?:Collecting|Requirement already satisfied:) ([\w.-]+)")


def main(arguments: list[str]) -> int:
    """Make the environment fit, then become the verb. Returns only where a process can't replace itself."""
    if sys.version_info < NEEDED:
        return fail(f"Python {NEEDED[0]}.{NEEDED[1]} or newer is needed; this is {sys.version.split()[0]}.")
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.path.insert(0, str(ROOT))
        from commands.verbs import usage

        print(usage())
        return 0
    names = ["requirements.txt", "requirements-dev.txt"] if arguments[0] == "test" else ["requirements.txt"]
    try:
        prepare([ROOT / name for name in names])
    except (OSError, subprocess.CalledProcessError) as error:
        return fail(f"The environment could not be prepared: {error}")
    return hand_over([str(PYTHON), "-P", "-m", "commands", *arguments])


def fail(words: str) -> int:
    print(words, file=sys.stderr)
    return 1


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def hand_over(command: list[str]) -> int:
    """Become the command; on Windows, where that detaches the console, wait for it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if os.name != "nt":
        os.execve(command[0], command, environment)
    with suppress(KeyboardInterrupt):
        return subprocess.run(command, env=environment, check=False).returncode
    return 130


def prepare(requirements: list[Path]) -> None:
    """Install what is not installed yet. Touches nothing when every stamp fits."""
    if all(is_installed(path) for path in requirements):
        return
    with only_one():
        if not works():
            make_venv()
        for path in requirements:
            if not is_installed(path):
                install(path)


def stamp_of(requirements: Path) -> tuple[Path, str]:
    """Where it is written that these requirements are installed, and what must stand there."""
    version = ".".join(map(str, sys.version_info[:2]))
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    return VENV / f"{requirements.stem}.installed", f"{version} {digest}\n"


def is_installed(requirements: Path) -> bool:
    path, wanted = stamp_of(requirements)
    try:
        return PYTHON.exists() and path.read_text(encoding="utf-8") == wanted
    except OSError:
        return False


def works() -> bool:
    """Whether `.venv` has an interpreter of this version that starts."""
    probe = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    try:
        return subprocess.run([PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def make_venv() -> None:
    """A fresh `.venv`; what was left half made or belongs to another Python goes first."""
    say("Preparing .venv (the first run takes a minute; later ones start at once)")
    shutil.rmtree(VENV, ignore_errors=True)
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(VENV)], check=True)
        return
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        raise OSError(f"{made.stdout}{made.stderr}\nOn Debian and Ubuntu: sudo apt install python3-venv")


def install(requirements: Path) -> None:
    """Install pinned, hashed wheels; the stamp is written last, so an interrupted run is taken up again."""
    count = len(_PINNED.findall(requirements.read_text(encoding="utf-8")))
    say(f"Installing {count} packages of {requirements.name}")
    uv = shutil.which("uv")
    if not (uv and with_uv(uv, requirements)):
        with_pip(requirements, count)
    path, text = stamp_of(requirements)
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def with_uv(uv: str, requirements: Path) -> bool:
    """True when uv did it. False lets pip try: it may know an index that uv was not told of."""
    options = [
        "--python",
        str(PYTHON),
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--compile-bytecode",
    ]
    command = [uv, "pip", "install", *options, "-r", str(requirements)]
    return subprocess.run(command, check=False).returncode == 0


def with_pip(requirements: Path, count: int) -> None:
    """Install by pip, with a line of progress. Raises CalledProcessError with pip's last words shown."""
    if subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        subprocess.run([PYTHON, "-m", "ensurepip", "--upgrade"], capture_output=True, check=True)
    options = [
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--no-input",
        "--progress-bar",
        "off",
    ]
    command = [
        str(PYTHON),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        *options,
        "-r",
        str(requirements),
    ]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seen, words = 0, []
    for line in running.stdout or ():
        words.append(line)
        if found := _PIP_NAMES.match(line):
            seen += 1
            progress(f"  {seen}/{count} {found[1]}")
        elif line.startswith("Installing collected"):
            progress("  unpacking")
    progress("")
    if running.wait():
        say("".join(words[-20:]))
        raise subprocess.CalledProcessError(running.returncode, "pip install")


def progress(words: str) -> None:
    """Rewrite one line of a terminal; elsewhere stay silent."""
    if sys.stderr.isatty():
        print(f"\r\033[K{words}", end="", file=sys.stderr, flush=True)


@contextmanager
def only_one() -> Iterator[None]:
    """Two first runs at once: the second waits for the first."""
    with Path(__file__).open("rb") as lock:
        if os.name != "nt":
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
