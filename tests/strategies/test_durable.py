"""A power cut keeps all of a version or of an environment, or none: what reaches the disk, and in which order."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from strategies import packages
from strategies.files import Places
from strategies.packages import Packages


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, frozenset[str]]]:
    """Each fsync: the path, and for a folder the names that it held."""
    calls: list[tuple[Path, frozenset[str]]] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        calls.append((path, frozenset(os.listdir(path)) if path.is_dir() else frozenset()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return calls


def test_a_version_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, synced: list[tuple[Path, frozenset[str]]]
) -> None:
    places = Places.of(tmp_path, "one")
    places.save_version(1, {"main.py": b"1", "more/part.py": b"2"})
    paths = [path for path, _ in synced]
    fresh = places.home / "versions" / ".1.new"
    assert paths.index(fresh / "more" / "part.py") < paths.index(fresh / "more") < paths.index(fresh)
    assert paths.index(fresh / "main.py") < paths.index(fresh)
    assert (places.home / "versions", frozenset({"1"})) in synced[paths.index(fresh) :]
    assert paths[-3:] == [places.home, tmp_path / "strategies", tmp_path]
    assert places.load_version(1) == {"main.py": b"1", "more/part.py": b"2"}


def test_packages_are_on_the_disk_before_their_stamp(
    tmp_path: Path, synced: list[tuple[Path, frozenset[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(step: list[str], home: Path, job: packages._Job) -> tuple[int, str]:
        (home / "lib").mkdir(exist_ok=True)
        (home / "lib" / "thing.py").write_bytes(b"x = 1\n")
        return 0, ""

    monkeypatch.setattr(packages, "_run", run)
    job = packages._Job(tmp_path / "envs" / "a-1", tmp_path, 0.0)
    assert Packages(tmp_path / "envs", tmp_path / "wheels")._install(job, b"thing==1\n") == ""
    paths = [path for path, _ in synced]
    thing = paths.index(job.home / "lib" / "thing.py")
    without = next(
        at for at, (path, names) in enumerate(synced) if path == job.home and "complete" not in names
    )
    stamped = next(at for at, (path, names) in enumerate(synced) if path == job.home and "complete" in names)
    assert thing < without < stamped
    assert paths[-2:] == [tmp_path / "envs", tmp_path]
