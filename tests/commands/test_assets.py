"""The pages' assets are committed as built: an install without Node gets what the sources say."""

import json

from commands import assets


def test_what_is_committed_was_built_from_the_sources_as_they_are() -> None:
    assert assets.is_current(), "a source changed since: run `python3 manage.py assets` and commit the result"
    files = json.loads(assets.MANIFEST.read_text(encoding="utf-8"))["files"]
    assert {path.name for path in assets.BUILT.iterdir()} >= set(files.values())
