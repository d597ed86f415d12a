"""A role's process ends with the supervisor that started it, however that ends."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """End this process by SIGKILL when process `parent`, which started it from its main thread, is gone.

    On Linux the kernel does it (and keeps no promise to a process whose parent was gone before it asked, hence
    the second look). Elsewhere a thread waits for the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        return
    threading.Thread(target=_outlive_not, args=(parent,), name="lifeline", daemon=True).start()


def _outlive_not(parent: int) -> None:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    os._exit(1)
