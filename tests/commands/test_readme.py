"""The README's script, as it stands there, against a fresh install, with the public SDK from its registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.commands.test_run import Install

ROOT = Path(__file__).resolve().parents[2]
SDK = "openalgo==1.0.47"
pytestmark = [pytest.mark.journey, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def sdk() -> Path:
    """An interpreter that has the SDK and nothing of ours."""
    home = ROOT / "var" / "sdk" / SDK.replace("==", "-")
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        venv.create(home, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", SDK]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(f"{SDK} cannot be installed here")
        (home / "installed").touch()
    return python


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
