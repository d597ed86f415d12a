"""What may become a strategy, and what is refused with a reason."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as some

from domain.errors import InvalidRequest, NotFound
from strategies import upload
from strategies.files import Places

GOOD = b"print('x')\n"


def zipped(*entries: tuple[str, bytes], link: str = "") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o120777 if name == link else 0o100644) << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def test_one_file_is_kept_under_a_safe_name() -> None:
    bundle = upload.read("../../My strategy (1).py", GOOD)
    assert dict(bundle.files) == {"My_strategy_1.py": GOOD} and bundle.entry == "My_strategy_1.py"


def test_a_zip_of_a_folder_loses_the_folder() -> None:
    bundle = upload.read(
        "a.zip", zipped(("bot/main.py", GOOD), ("bot/lib/tools.py", GOOD), ("bot/p.json", b"{}"))
    )
    assert sorted(bundle.files) == ["lib/tools.py", "main.py", "p.json"] and bundle.entry == "main.py"


@pytest.mark.parametrize(
    "name",
    [
        "../x.py", "/etc/x.py", "a/../../x.py", "..\\x.py", "C:\\x.py", "a\0.py", "x.py/", "./x.py", "a//x.py",
        "con.py", "lib/NUL.py", "x .py ", "x.", "\u2025/x.py", "a\u2215b.py", "%2e%2e/x.py", "x.so", "x.pth",
        "sitecustomize.py", "a/b/c/d/e/f/g.py", ".env", "-x.py", "x" * 300 + ".py",
    ],
)  # fmt: skip
def test_paths_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        upload.bundle({"main.py": GOOD, name: GOOD})


def test_an_upload_renews_what_is_there() -> None:
    """A zip takes the place of all, a Python file that of the one that is run, another file its own."""
    old = {"main.py": GOOD, "helper.py": GOOD}
    new = b"print(2)\n"
    assert upload.renewed(old, "main.py", "mine_v2.py", new).files == {**old, "main.py": new}
    assert upload.renewed(old, "main.py", "a\\helper.py", new).files == {**old, "helper.py": new}
    listed = upload.renewed(old, "main.py", "requirements.txt", b"requests==2.32.3\n")
    assert listed.entry == "main.py" and set(listed.files) == {*old, "requirements.txt"}
    whole = upload.renewed(old, "main.py", "x.zip", zipped(("strategy.py", new)))
    assert (dict(whole.files), whole.entry) == ({"strategy.py": new}, "strategy.py")
    for name, content in (
        ("requirements.txt", b"-e /etc"),
        ("x.py", b"def ("),
        ("x.so", GOOD),
        ("x.py", b" "),
    ):
        with pytest.raises(InvalidRequest):
            upload.renewed(old, "main.py", name, content)
    with pytest.raises(InvalidRequest, match="8 MB"):
        upload.renewed(old, "main.py", "x.py", b"#" * (upload.LARGEST_UPLOAD + 1))


def test_links_doubles_and_names_that_clash_by_case_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="link"):
        upload.read("a.zip", zipped(("main.py", GOOD), ("x.py", b"/etc/passwd"), link="x.py"))
    with pytest.raises(InvalidRequest, match="one file on some systems"):
        upload.read("a.zip", zipped(("main.py", GOOD), ("Main.py", GOOD)))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(("main.py", GOOD), ("main.py", GOOD))
    with pytest.raises(InvalidRequest, match="twice"):
        upload.read("a.zip", twice)


def test_bombs_are_not_unpacked() -> None:
    with pytest.raises(InvalidRequest, match="larger than 2 MB"):
        upload.read("a.zip", zipped(("main.py", b"#" * (64 << 20))))
    many = [(f"f{n}.txt", b"x") for n in range(300)]
    with pytest.raises(InvalidRequest, match="200 files"):
        upload.read("a.zip", zipped(("main.py", GOOD), *many))
    wide = [(f"f{n}.txt", b"x" * (2 << 20)) for n in range(20)]
    with pytest.raises(InvalidRequest, match="32 MB"):
        upload.read("a.zip", zipped(("main.py", GOOD), *wide))
    with pytest.raises(InvalidRequest, match="8 MB"):
        upload.read("a.py", b"#" * (9 << 20))


def test_damaged_zips_are_explained() -> None:
    whole = zipped(("main.py", GOOD * 100))
    for cut in range(0, len(whole), 7):
        with pytest.raises(InvalidRequest):
            upload.read("a.zip", whole[:cut] or b" ")


@pytest.mark.parametrize(
    "code", [b"def f(:", b"\xff\xfe\x00", b"x = '\x00'", b"(" * 5000, "x = 1\n".encode("utf-16")]
)
def test_what_does_not_compile_is_not_kept(code: bytes) -> None:
    with pytest.raises(InvalidRequest):
        upload.read("a.py", code)


def test_which_file_runs_must_be_clear() -> None:
    with pytest.raises(InvalidRequest, match=r"main\.py"):
        upload.read("a.zip", zipped(("a.py", GOOD), ("b.py", GOOD)))
    assert upload.read("a.zip", zipped(("a.py", GOOD), ("strategy.py", GOOD))).entry == "strategy.py"


@given(some.text(max_size=60))
def test_any_name_gives_a_safe_stem(name: str) -> None:
    stem = upload.safe_stem(name)
    Places.of(__import__("pathlib").Path("/x"), f"{stem}_20261125091500")
    assert "/" not in stem and ".." not in stem and 1 <= len(stem) <= 41


@pytest.mark.parametrize("strategy_id", ["..", "a/b", "a\\b", "", "a\0", "a.b", "-a", "a" * 65, "a\n"])
def test_ids_are_no_paths(strategy_id: str, tmp_path) -> None:
    with pytest.raises(NotFound):
        Places.of(tmp_path, strategy_id)


def test_a_changed_version_is_noticed(tmp_path) -> None:
    places = Places(tmp_path / "s")
    bundle = upload.bundle({"main.py": GOOD})
    places.save_version(1, bundle.files)
    assert places.is_whole(1, bundle.digest)
    target = places.version(1) / "main.py"
    target.chmod(0o600)
    target.write_bytes(b"import os\n")
    assert not places.is_whole(1, bundle.digest)
    assert not places.is_whole(2, bundle.digest)


@pytest.mark.parametrize(
    "code",
    [
        b"-" * 1_000_000 + b"1", b"a" + b".a" * 600_000, b"1" + b"+1" * 900_000, b"not " * 400_000 + b"1",
        b"lambda:" * 250_000 + b"1", b"a if b else " * 150_000 + b"c", b"[" * 1_000_000,
    ],
)  # fmt: skip
def test_code_nested_too_deeply_is_refused_with_a_reason(code: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"does not compile\. a\.py.*: \w"):
        upload.read("a.py", code)


def test_a_zip_that_lies_about_sizes_and_zips_in_zips_are_refused() -> None:
    inner = zipped(("main.py", b"#" * (1 << 20)))
    with pytest.raises(InvalidRequest, match="kind that is not kept"):
        upload.read("a.zip", zipped(("main.py", GOOD), ("inner.zip", inner)))
    lying = bytearray(zipped(("main.py", b"#" * (1 << 20))))
    at = lying.rindex(b"PK\x01\x02") + 24
    lying[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(InvalidRequest):
        upload.read("a.zip", bytes(lying))
