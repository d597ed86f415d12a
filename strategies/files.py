"""Where a strategy's things lie in the data directory: its versions, its own folder, its runs' pipes and its logs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.errors import NotFound, Unavailable
from strategies.durable import sync_names, sync_tree
from strategies.upload import digest_of

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Places:
    """One strategy's folders, below `<data_dir>/strategies/<id>`. Everything is its owner's only (0700).

    The strategy itself may write in `work` alone, and may read its version.
    """

    home: Path

    @classmethod
    def of(cls, data_dir: Path, strategy_id: str) -> Places:
        """Raises NotFound for what cannot be an id."""
        if not _ID.fullmatch(strategy_id):
            raise NotFound("No such strategy.")
        return cls(data_dir / "strategies" / strategy_id)

    @property
    def work(self) -> Path:
        return self.home / "work"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def lock(self) -> Path:
        return self.home / "run" / "lock"

    def version(self, number: int) -> Path:
        return self.home / "versions" / str(number)

    def pipe(self, generation: int) -> Path:
        return self.home / "run" / f"{generation}.out"

    def pid_file(self, generation: int) -> Path:
        return self.home / "run" / f"{generation}.pid"

    @property
    def sign_of_life(self) -> Path:
        """What a strategy touches to say that it is well."""
        return self.work / ".alive"

    # -- making
    def make(self) -> None:
        """Make the folders that are missing."""
        for folder in (
            self.home,
            self.home / "versions",
            self.work,
            self.work / "tmp",
            self.logs,
            self.lock.parent,
        ):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save_version(self, number: int, files: Mapping[str, bytes]) -> None:
        """Write a version whole: a folder that is there is complete, after a power cut too."""
        self.make()
        fresh = self.version(number).with_name(f".{number}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        for path, content in files.items():
            target = fresh / path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o400)
        sync_tree(fresh)
        final = self.version(number)
        if final.exists():
            shutil.rmtree(final)
        fresh.rename(final)
        sync_names(final.parent, self.home.parent.parent)

    def load_version(self, number: int) -> dict[str, bytes]:
        """A version's files. Raises NotFound."""
        folder = self.version(number)
        if not folder.is_dir():
            raise NotFound("No such version.")
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def is_whole(self, number: int, digest: str) -> bool:
        """Whether a version on disk is the one that was kept."""
        try:
            return digest_of(self.load_version(number)) == digest
        except (NotFound, OSError):
            return False

    def make_pipe(self, generation: int) -> Path:
        """A fresh FIFO for a run's output."""
        path = self.pipe(generation)
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        return path

    def name_generation(self, generation: int) -> None:
        """From now on only this generation may start. Raises Unavailable while a run holds the lock."""
        import fcntl

        self.make()
        lock = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(generation).encode(), 0)
        except BlockingIOError as error:
            raise Unavailable("an earlier run is still alive") from error
        finally:
            os.close(lock)

    # -- clearing
    def clear_run(self, generation: int) -> None:
        """Drop what a run that is over left in the run folder."""
        self.pipe(generation).unlink(missing_ok=True)
        self.pid_file(generation).unlink(missing_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)

    def used(self) -> int:
        """Bytes on disk of the strategy's own folder; links are not followed."""
        total = 0
        folders = [self.work]
        while folders:
            try:
                entries = list(os.scandir(folders.pop()))
            except OSError:
                continue
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                except OSError:
                    continue
        return total
