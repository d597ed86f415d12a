"""A system without fcntl and resource: everything is imported, and only strategies are refused."""

from __future__ import annotations

import subprocess
import sys

_IMPORTS = """
import asyncio, importlib, pkgutil, sys
import psutil, broker.send_times  # these have another way on Windows
assert not any(name.startswith("strategies") for name in sys.modules)
sys.modules["fcntl"] = sys.modules["resource"] = None
rooms = ("domain", "database", "broker", "strategies", "services", "restx_api", "blueprints", "websocket_proxy")
for room in rooms:
    found = importlib.import_module(room)
    for each in pkgutil.iter_modules(found.__path__, room + "."):
        if not each.name.endswith("__main__"):
            importlib.import_module(each.name)
from domain.errors import NotSupported
from services import strategy_host
from strategies import shelter
try:
    strategy_host._check_supported()
except NotSupported as error:
    assert str(error) == shelter.warning()
    print(error)
"""


def test_the_platform_is_imported_without_them_and_strategies_are_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "not supported on this system" in done.stdout
