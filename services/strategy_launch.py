"""What a strategy's process is given: its program, its environment (an allow-list, nothing inherited), its limits."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from domain.strategies import Run, Strategy
from strategies.files import Places
from strategies.process import TOKEN, Launch

THREAD_CAPS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
OURS = frozenset(
    {
        *("STRATEGY_ID", "STRATEGY_NAME", "OPENALGO_STRATEGY_EXCHANGE", "OPENALGO_API_KEY"),
        *("OPENALGO_APIKEY", "OPENALGO_HOST", "HOST_SERVER", "WEBSOCKET_URL", "WEBSOCKET_HOST"),
        *("WEBSOCKET_PORT", "PATH", "HOME", "LANG", "TMPDIR", "TZ", TOKEN, "OPENALGO_HEARTBEAT"),
        *("PYTHONUNBUFFERED", "PYTHONUTF8", "PYTHONPYCACHEPREFIX"),
    }
)
FORBIDDEN = re.compile(r"(LD_|DYLD_|PYTHON|GLIBC_|MALLOC_)|(BASH_ENV|ENV|IFS|PS4|NODE_OPTIONS)$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Addresses:
    """How a program on this machine reaches the platform, and how the world does."""

    http: str
    public: str
    socket: str
    socket_host: str
    socket_port: int


def environment(
    strategy: Strategy, run: Run, places: Places, addresses: Addresses, key: str, values: Mapping[str, str]
) -> dict[str, str]:
    """Every variable of a run. Its owner's values may add to ours, and replace only the thread caps."""
    return {
        **dict.fromkeys(THREAD_CAPS, "1"),
        **values,
        "STRATEGY_ID": strategy.id,
        "STRATEGY_NAME": strategy.name,
        "OPENALGO_STRATEGY_EXCHANGE": strategy.exchange.value,
        "OPENALGO_API_KEY": key,
        "OPENALGO_APIKEY": key,
        "OPENALGO_HOST": addresses.http,
        "HOST_SERVER": addresses.public,
        "WEBSOCKET_URL": addresses.socket,
        "WEBSOCKET_HOST": addresses.socket_host,
        "WEBSOCKET_PORT": str(addresses.socket_port),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.defpath)),
        "HOME": str(places.work),
        "TMPDIR": str(places.work / "tmp"),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHONPYCACHEPREFIX": str(places.work / ".pycache"),
        "OPENALGO_HEARTBEAT": str(places.sign_of_life),
        TOKEN: run.token,
    }


def launch(
    strategy: Strategy,
    run: Run,
    places: Places,
    variables: dict[str, str],
    python: Path | None = None,
    group: Path | None = None,
) -> Launch:
    """The order for one run. `python` is the interpreter of the version's own packages, if it brings any."""
    version = places.version(run.version)
    limits = strategy.limits
    own = () if python is None else (python.parents[1],)
    return Launch(
        command=(str(python or sys.executable), "-u", "-s", str(version / strategy.entry)),
        environment=variables,
        work=places.work,
        output=places.make_pipe(run.generation),
        lock=places.lock,
        pid_file=places.pid_file(run.generation),
        generation=run.generation,
        token=run.token,
        run=(*{Path(sys.prefix), Path(sys.base_prefix)}, *own),
        read=(version,),
        memory=limits.memory_mb << 20,
        files=limits.files,
        file_size=limits.disk_mb << 20,
        processes=limits.processes,
        group=group,
    )
