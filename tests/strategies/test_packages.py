"""A strategy's own packages: put in from a list, told while it happens, and refused when the list asks for more."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from domain.errors import InvalidRequest
from strategies import packages, upload
from strategies.packages import Packages


def wheel(folder: Path, name: str, code: str, version: str = "1.0") -> Path:
    """A built package, as `pip wheel` would leave it."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(text)}\n"
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return made


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator without a network sets it: only the wheels that lie here."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")


def listing(folder: Path, text: str) -> Path:
    version = folder / "version"
    version.mkdir(exist_ok=True)
    (version / "requirements.txt").write_text(text)
    return version


def settled(made: Packages, version: Path, seconds: float = 60) -> str:
    until = time.monotonic() + seconds
    while (words := made.missing(version)).startswith("Its packages are being installed"):
        assert time.monotonic() < until, words
        time.sleep(0.05)
    return words


def test_a_version_gets_its_packages_in_an_environment_of_its_own(offline: None, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "fastmoney", "ANSWER = 42")
    made = Packages(tmp_path / "packages", tmp_path / "wheels")
    version = listing(tmp_path, "fastmoney==1.0  # ours\n")
    assert made.missing(version).startswith("Its packages are being installed")
    assert settled(made, version) == ""
    python = made.python(version)
    assert python is not None
    done = subprocess.run(
        [str(python), "-c", "import fastmoney; print(fastmoney.ANSWER)"], capture_output=True, text=True
    )
    assert done.stdout == "42\n"
    none = subprocess.run([str(python), "-c", "import flask"], capture_output=True, text=True)
    assert "ModuleNotFoundError" in none.stderr


def test_what_cannot_be_installed_is_explained_and_tried_again(
    offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Packages(tmp_path / "packages", tmp_path / "wheels")
    version = listing(tmp_path, "fastmoney==1.0\n")
    words = settled(made, version)
    assert words.startswith("Its packages could not be installed:") and "fastmoney" in words
    assert made.missing(version) == words
    wheel(tmp_path / "wheels", "fastmoney", "ANSWER = 42")
    monkeypatch.setattr(packages, "_AGAIN", 0.0)
    assert settled(made, version) == ""


def test_without_a_list_the_platforms_python_does(tmp_path: Path) -> None:
    made = Packages(tmp_path / "packages", tmp_path / "wheels")
    assert made.missing(tmp_path) == "" and made.python(tmp_path) is None
    version = listing(tmp_path, "# nothing yet\n\n")
    assert made.missing(version) == "" and made.python(version) is None


def test_environments_that_nobody_uses_go(
    offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "fastmoney", "ANSWER = 42")
    made = Packages(tmp_path / "packages", tmp_path / "wheels")
    first = listing(tmp_path, "fastmoney==1.0\n")
    assert settled(made, first) == ""
    monkeypatch.setattr(packages, "_KEPT", -1.0)
    second = listing(tmp_path, "fastmoney>=1.0\n")
    assert settled(made, second) == ""
    assert len(list((tmp_path / "packages").iterdir())) == 1


@pytest.mark.parametrize(
    "line",
    [
        "openalgo==1.0.47", "pandas>=2,<3", "requests[socks]~=2.32", "numpy", "ta-lib==0.6.*",
        'uvloop==0.21.0; sys_platform != "win32"', "six==1.16.0 --hash=sha256:" + "a" * 64,
        "six==1.16.0 \\\n    --hash=sha256:" + "a" * 64, "x == 1.0  # why", "",
    ],
)  # fmt: skip
def test_packages_with_versions_are_a_list(line: str) -> None:
    upload.bundle({"main.py": b"1\n", "requirements.txt": f"{line}\n".encode()})


@pytest.mark.parametrize(
    "line",
    [
        "-r ../../../.env", "-r/etc/passwd", "--requirement x.txt", "-c x", "-e .", "-e git+https://x/y", ".",
        "./x", "../x.whl", "/tmp/x.whl", "x.whl", "x-1.0-py3-none-any.whl", "x.tar.gz", "file:///etc/passwd",
        "https://x/y.whl", "x @ file:///etc/passwd", "x @ https://evil/x.whl", "--index-url https://evil",
        "-i https://evil", "--find-links /", "--extra-index-url=https://evil", "--no-binary :all:", "x --pre",
        "x==1 --config-settings=a=b",
        "x; python_version>'3' --config-settings=a=b", "x; python_version<'3' @ https://evil", "\u0445==1",
    ],
)  # fmt: skip
def test_whatever_reads_files_or_goes_elsewhere_is_no_list(line: str) -> None:
    with pytest.raises(InvalidRequest, match=r"requirements\.txt"):
        upload.bundle({"main.py": b"1\n", "requirements.txt": f"numpy\n{line}\n".encode()})


def test_a_list_of_thousands_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="200 packages"):
        upload.bundle({"main.py": b"1\n", "requirements.txt": b"numpy\n" * 201})


SLOW = """
import sys, time
from pathlib import Path

home, done = Path(sys.argv[1]).parent.parent, Path(sys.argv[2])
place = next(home.glob("lib/python*/site-packages"))
(place / "fastmoney.py").write_text("ANSWER =")
print("half of it is there", flush=True)
while not done.exists():
    time.sleep(0.05)
try:
    (place / "fastmoney.py").write_text("ANSWER = 'by the one that was cut off'")
finally:
    (done.parent / "late").touch()
"""
WORKER = """
import sys, time
from pathlib import Path
from strategies import packages

packages._installer = lambda python: [sys.executable, *sys.argv[3:5], python, sys.argv[5]]
made = packages.Packages(Path(sys.argv[1]), Path("nowhere"))
while True:
    print(made.missing(Path(sys.argv[2])), flush=True)
    time.sleep(0.05)
"""


def test_an_install_that_was_cut_off_is_made_again_from_nothing(offline: None, tmp_path: Path) -> None:
    """The worker is killed in the middle of it; its installer lives on and goes on writing."""
    wheel(tmp_path / "wheels", "fastmoney", "ANSWER = 42")
    version = listing(tmp_path, "fastmoney==1.0\n")
    (tmp_path / "slow.py").write_text("import sys; sys.argv = ['', sys.argv[1], sys.argv[2]]\n" + SLOW)
    go_on = tmp_path / "go-on"
    slow = ["-u", str(tmp_path / "slow.py")]
    command = [sys.executable, "-c", WORKER, str(tmp_path / "packages"), str(version), *slow, str(go_on)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert any("half of it" in line for line in worker.stdout)
        worker.kill()
    made = Packages(tmp_path / "packages", tmp_path / "wheels")
    assert made.missing(version) != ""
    assert settled(made, version) == ""
    go_on.touch()
    until = time.monotonic() + 10
    while not (tmp_path / "late").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    python = made.python(version)
    done = subprocess.run(
        [str(python), "-c", "import fastmoney; print(fastmoney.ANSWER)"], capture_output=True, text=True
    )
    assert done.stdout == "42\n"


def test_dropping_that_is_cut_off_leaves_nothing_that_looks_whole(
    offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "wheels", "fastmoney", "ANSWER = 42")
    made, other = Packages(tmp_path / "packages", tmp_path / "wheels"), tmp_path / "other"
    other.mkdir()
    first, second = listing(tmp_path, "fastmoney==1.0\n"), listing(other, "fastmoney>=1.0\n")
    assert settled(made, first) == ""

    def cut_off(folder: Path, **options: object) -> None:
        next(folder.glob("lib/python*/site-packages/fastmoney.py"), folder / "none").unlink(missing_ok=True)

    monkeypatch.setattr(packages, "_KEPT", -1.0)
    monkeypatch.setattr(shutil, "rmtree", cut_off)
    assert settled(made, second) == ""
    monkeypatch.undo()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    again = Packages(tmp_path / "packages", tmp_path / "wheels")
    assert again.missing(first).startswith("Its packages are being installed")
    assert settled(again, first) == ""


def test_no_stamp_is_put_on_what_is_not_there(offline: None, tmp_path: Path) -> None:
    """Between the look and the start the environment may have been dropped: then there is no interpreter."""
    wheel(tmp_path / "wheels", "fastmoney", "ANSWER = 42")
    made = Packages(tmp_path / "packages", tmp_path / "wheels")
    version = listing(tmp_path, "fastmoney==1.0\n")
    assert settled(made, version) == ""
    for stamp in (tmp_path / "packages").glob("*/complete"):
        stamp.unlink()
    with pytest.raises(FileNotFoundError):
        made.python(version)
    assert made.missing(version) != ""
    assert settled(made, version) == ""
