"""Keeping a folder of files through a power cut: files first, then the folders that name them."""

from __future__ import annotations

import os
from pathlib import Path


def sync_tree(folder: Path) -> None:
    """Put all files below a folder on the disk, then its folders, deepest first; links are not followed."""
    for here, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(here, name)
            if path.is_file() and not path.is_symlink():
                _sync(path)
        _sync(Path(here))


def sync_names(folder: Path, top: Path) -> None:
    """Put on the disk what a folder and those above it, up to and with `top`, hold the names of."""
    for each in (folder, *folder.parents):
        _sync(each)
        if each == top:
            return


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
