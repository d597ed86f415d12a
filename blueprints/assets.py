"""Built assets: logical name to hashed file, served compressed and for ever."""

from __future__ import annotations

import gzip
import json
import mimetypes
from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, Response, abort, request, url_for

BUILT = Path(__file__).resolve().parent / "static" / "built"
YEAR = 31_536_000
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_SQUEEZED = (".js", ".css", ".svg")

blueprint = Blueprint("assets", __name__)


@cache
def manifest() -> dict[str, dict[str, str]]:
    """{"files": logical -> hashed, "integrity": logical -> digest}; empty where nothing was built."""
    try:
        read: dict[str, dict[str, str]] = json.loads((BUILT / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"files": {}, "integrity": {}}
    return read


def asset(name: str) -> str:
    """The address of a built file by its logical name, "" when it was not built."""
    file = manifest()["files"].get(name)
    return url_for("assets.built", name=file) if file else ""


def integrity(name: str) -> str:
    return manifest()["integrity"].get(name, "")


@cache
def _content(name: str) -> tuple[bytes, bytes | None]:
    """A file's bytes, and its bytes compressed where that pays."""
    path = (BUILT / name).resolve()
    if not path.is_relative_to(BUILT.resolve()) or not path.is_file():
        raise FileNotFoundError(name)
    raw = path.read_bytes()
    squeezed = gzip.compress(raw, 9, mtime=0) if path.suffix in _SQUEEZED and len(raw) > 512 else None
    return raw, squeezed


@blueprint.get("/static/built/<path:name>")
def built(name: str) -> Response:
    """One built file. Hashed names never change, so they are kept for a year; others for an hour."""
    try:
        raw, squeezed = _content(name)
    except (FileNotFoundError, ValueError):
        abort(404)
    kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    wants = squeezed is not None and "gzip" in request.headers.get("Accept-Encoding", "")
    answer = Response(squeezed if wants else raw, mimetype=kind)
    if wants:
        answer.headers["Content-Encoding"] = "gzip"
    if squeezed is not None:
        answer.headers["Vary"] = "Accept-Encoding"
    hashed = name in manifest()["files"].values() or name.startswith("part-")
    answer.headers["Cache-Control"] = (
        f"public, max-age={YEAR}, immutable" if hashed else "public, max-age=3600"
    )
    return answer


def install(app: Flask) -> None:
    """Serve the files and let templates name them."""
    app.register_blueprint(blueprint)
    app.jinja_env.globals.update(asset=asset, integrity=integrity)
