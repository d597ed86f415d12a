"""Starts the roles, starts them again when they end, says when they are ready, and stops them in order.

It holds no state of the product: kill it, and its roles end with it. Standard library only, to stay small.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

log = logging.getLogger(__name__)

PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0)
STEADY = 30.0
HOPELESS = 5
EX_CONFIG = 78
SAME_PRESS = 0.5
SILENCE = 20.0
FIRST_BEAT = 120.0
LOOK = 2.0
_TICK = 0.05 if os.name != "nt" else 0.2


@dataclass(slots=True)
class Child:
    """One process that should run.

    grace     seconds it may take to end when asked
    patience  seconds its first start waits for the others to be ready, who need the processor more
    pulse     whether it beats (services/pulse.py): then one that is silent for SILENCE is killed as hung
    failures  ends in a row without a steady run between them
    heard     monotonic time until which it need not beat
    due       monotonic time of the next start; None while it runs
    """

    name: str
    command: list[str]
    grace: float = 5.0
    pass_fds: tuple[int, ...] = ()
    environment: dict[str, str] | None = None
    patience: float = 0.0
    pulse: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float | None = 0.0
    heard: float = 0.0
    ear: int | None = None

    def start(self, now: float) -> None:
        """Start it in a process group of its own, so that a terminal's Ctrl-C reaches the supervisor alone."""
        self.due, self.started = None, now
        if os.name == "nt":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined,unused-ignore]
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdin=subprocess.DEVNULL, creationflags=flags
            )
            return
        command, fds = self.command, self.pass_fds
        if self.pulse:
            self.ear, mouth = os.pipe()
            os.set_blocking(self.ear, False)
            command, fds = [*command, "--pulse", str(mouth)], (*fds, mouth)
            self.heard = now + FIRST_BEAT
        try:
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, pass_fds=fds, process_group=0
            )
        finally:
            if self.pulse:
                os.close(mouth)

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM if os.name != "nt" else signal.CTRL_BREAK_EVENT)  # type: ignore[attr-defined,unused-ignore]

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def listen(self, now: float, silence: float) -> bool:
        """Take note of a beat that came; False at the pipe's end."""
        if self.ear is None or not os.read(self.ear, 4096):
            return False
        self.heard = now + silence
        return True

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Supervisor:
    """Runs its children until a signal. The second signal kills; one that comes at once with the first, as when a
    terminal and a parent both send it, is the same.

    children   in the order they are stopped
    ready      called until it says True; then `on_ready` is called once
    """

    def __init__(
        self,
        children: list[Child],
        ready: Callable[[], bool],
        on_ready: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
        silence: float = SILENCE,
    ) -> None:
        self._silence = silence
        self._looked = monotonic()
        self._children = children
        self._ready = ready
        self._on_ready = on_ready
        self._monotonic = monotonic
        self._is_ready = False
        self._signals = 0
        self._signalled = 0.0
        self._failure = False
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """0 after an orderly stop, else 1."""
        for child in self._children:
            child.due = self._monotonic() + child.patience
        with self._wakeups():
            while not self._signals and not self._failure:
                now = self._monotonic()
                self._forgive(now)
                for child in self._children:
                    self._look_after(child, now)
                if not self._is_ready and self._ready():
                    self._become_ready(now)
                self._wait(self._pause(now))
            self._stop()
        return 1 if self._failure else 0

    def _become_ready(self, now: float) -> None:
        self._is_ready = True
        for child in self._children:
            if child.process is None:
                child.due = now
        self._on_ready()

    def _forgive(self, now: float) -> None:
        """When this process itself did not run for a while (the machine slept), nobody could be heard."""
        if now - self._looked > 2 * LOOK:
            for child in self._children:
                child.heard = max(child.heard, now + self._silence)
        self._looked = now

    def _look_after(self, child: Child, now: float) -> None:
        """Take note of an end and of silence, and start what is due."""
        if child.pulse and child.is_running() and now > child.heard:
            log.error("%s hangs: no sign of life for %.0f s; killing it", child.name, self._silence)
            child.kill()
            child.heard = now + self._silence
        if child.due is None and not child.is_running() and not self._failure:
            self._ended(child, now)
        if child.due is not None and child.due <= now:
            child.start(now)
            assert child.process is not None
            if child.ear is not None:
                self._selector.register(child.ear, selectors.EVENT_READ, child)
            log.info("started %s (pid %s)", child.name, child.process.pid)

    def _ended(self, child: Child, now: float) -> None:
        assert child.process is not None
        self._deafen(child)
        code = child.process.returncode
        child.failures = 1 if now - child.started > STEADY else child.failures + 1
        pause = PAUSES[min(child.failures, len(PAUSES)) - 1]
        if not self._is_ready and (code == EX_CONFIG or child.failures >= HOPELESS):
            log.error("%s cannot start: %s", child.name, _how(code))
            self._failure = True
            return
        child.due = now + pause
        log.warning("%s ended: %s; starting it again in %.1f s", child.name, _how(code), pause)

    def _pause(self, now: float) -> float:
        """Until the next thing to do: short before readiness and where ends of children send no signal."""
        if not self._is_ready or os.name == "nt":
            return _TICK
        dues = [child.due - now for child in self._children if child.due is not None]
        longest = LOOK if any(child.pulse for child in self._children) else 60.0
        return max(0.0, min([*dues, longest]))

    def _stop(self) -> None:
        """End the children one after the other; a second signal kills those that are left."""
        asked = self._signals
        for child in self._children:
            child.ask_to_end()
            deadline = self._monotonic() + child.grace
            while child.is_running() and self._monotonic() < deadline and self._signals == asked:
                self._wait(_TICK)
            if child.is_running():
                log.warning("killing %s", child.name)
            if self._signals != asked:
                break
        for child in self._children:
            child.kill()
        for child in self._children:
            if child.process is not None:
                child.process.wait()
        log.info("stopped")

    def _wait(self, seconds: float) -> None:
        """Sleep until a signal arrives (a child's end is one), a child beats or the time is over."""
        for key, _ in self._selector.select(seconds):
            if isinstance(key.data, Child):
                self._hear(key.data)
            else:
                key.fileobj.recv(4096)  # type: ignore[union-attr]

    def _hear(self, child: Child) -> None:
        """A beat; or the pipe's end, when the child is ending."""
        if not child.listen(self._monotonic(), self._silence):
            self._deafen(child)

    def _deafen(self, child: Child) -> None:
        if child.ear is not None:
            self._selector.unregister(child.ear)
            os.close(child.ear)
            child.ear = None

    def _wakeups(self) -> _Signals:
        return _Signals(self._selector, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        now = self._monotonic()
        if self._signals == 0:
            log.info("stopping (%s)", signal.Signals(number).name)
        elif now - self._signalled < SAME_PRESS:
            return
        self._signals += 1
        self._signalled = now


class _Signals:
    """While entered, signals wake a selector and reach a handler."""

    def __init__(
        self, selector: selectors.BaseSelector, handler: Callable[[int, FrameType | None], None]
    ) -> None:
        self._selector = selector
        self._handler = handler
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._selector.register(self._reader, selectors.EVENT_READ)
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._handler)
        if hasattr(signal, "SIGCHLD"):
            self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup)
        self._selector.close()
        self._reader.close()
        self._writer.close()


def _how(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
