"""The README's script, as it stands there, against a fresh install, with the public SDK from its registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broker.sdk.environments import newer_python, python_with
from tests.commands.test_run import Install

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=["1.0.47", "newest"])
def sdk(request: pytest.FixtureRequest) -> Path:
    """An interpreter that has one of the public SDKs and nothing of ours."""
    if request.param == "newest":
        return python_with("openalgo-newest", "openalgo>=2", python=newer_python())
    return python_with(f"openalgo-{request.param}", f"openalgo=={request.param}")


def script_of(readme: str) -> str:
    (script,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    return str(script)


def test_the_script_of_the_readme_trades(sdk: Path, tmp_path: Path) -> None:
    shown = trade(sdk, Install(tmp_path / "data"))
    assert shown.startswith("complete\n") and "error" not in shown and "'mode': 'analyze'" in shown


@pytest.mark.postgres
def test_it_trades_on_postgres_too(
    sdk: Path, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    shown = trade(sdk, Install(tmp_path / "data"))
    assert shown.startswith("complete\n") and "error" not in shown
    assert not list((tmp_path / "data").glob("*.db"))


def trade(sdk: Path, install: Install) -> str:
    """What the script prints against a new install with one user."""
    manage(install, "user", "add", "raj", "--admin", "--password-stdin", given="a long enough password\n")
    key = manage(install, "apikey", "create", "--user", "raj")
    assert re.fullmatch(r"[0-9a-f]{64}", key)
    script = script_of((ROOT / "README.md").read_text(encoding="utf-8"))
    assert script.count("\n") <= 12
    install.start()
    try:
        script = script.replace("YOUR KEY", key).replace("http://127.0.0.1:5000", install.http)
        ran = subprocess.run(
            [str(sdk), "-c", script], capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    finally:
        assert install.stop() == 0
    return ran.stdout


def manage(install: Install, *words: str, given: str = "") -> str:
    command = [sys.executable, "-P", "-m", "commands", *words, "--data-dir", str(install.home)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=environment, input=given, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()
