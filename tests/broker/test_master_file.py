from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from broker.master_file import csv_rows, json_objects, number_of, whole_of
from domain.masters import DamagedMaster

ROWS = [{"number": n, "text": f'row {n} é {{}}[],"', "strike": n / 4} for n in range(2000)]
COLUMNS = {"number": True, "text": True}


def as_json(rows: list[dict[str, object]]) -> bytes:
    return json.dumps(rows, ensure_ascii=False).encode()


def as_csv(rows: list[dict[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def zipped(data: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("master.txt",):
            archive.writestr(name, data)
    return file.getvalue()


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "master"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zipped])
def test_rows_come_in_order_however_the_file_is_packed(tmp_path: Path, pack: type) -> None:
    assert [row for _, row in json_objects(saved(tmp_path, pack(as_json(ROWS))))] == ROWS
    rows = list(csv_rows(saved(tmp_path, pack(as_csv(ROWS))), COLUMNS))
    assert [(number, row["text"] if row else None) for number, row in rows] == [
        (n + 1, row["text"]) for n, row in enumerate(ROWS)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=40) | st.floats(allow_nan=False)), max_size=60
    )
)
def test_any_objects_are_read_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    path = saved(tmp_path_factory.mktemp("json"), json.dumps(rows, indent=1).encode())
    assert [row for _, row in json_objects(path)] == rows


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 10**6), st.sampled_from([bytes, gzip.compress, zipped]), st.sampled_from([as_json, as_csv])
)
def test_a_file_cut_anywhere_is_damaged(
    tmp_path_factory: pytest.TempPathFactory, cut: int, pack: type, write: type
) -> None:
    data = pack(write(ROWS[:300]))
    piece = data[: cut % len(data)]
    assume(not (pack is bytes and piece.endswith(b"\n")))  # whole rows: the row-count check is there for that
    path = saved(tmp_path_factory.mktemp("cut"), piece)
    with pytest.raises(DamagedMaster):
        list(json_objects(path) if write is as_json else csv_rows(path, COLUMNS))


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\x1f\x8b\x08", b"PK\x03\x04", b"[{", b"number,text\n"])
)
def test_noise_is_damage_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, head: bytes
) -> None:
    path = saved(tmp_path_factory.mktemp("noise"), head + noise)
    for read in (json_objects, lambda path: csv_rows(path, COLUMNS)):
        try:
            list(read(path))
        except DamagedMaster as error:
            assert str(error)


def test_the_broken_row_is_named(tmp_path: Path) -> None:
    text = as_json(ROWS[:10]).replace(b'"row 6', b'"row \x01 6')
    with pytest.raises(DamagedMaster, match="row 7 cannot be read") as caught:
        list(json_objects(saved(tmp_path, text)))
    assert caught.value.row == 7
    with pytest.raises(DamagedMaster, match="row 10 cannot be read") as caught:
        list(csv_rows(saved(tmp_path, as_csv(ROWS[:10])[:-3]), COLUMNS))
    assert caught.value.row == 10


def test_a_row_of_another_width_is_told_apart(tmp_path: Path) -> None:
    rows = list(csv_rows(saved(tmp_path, b"number,text\n1,a\n2\n3,b,c\n\n4,d\n"), COLUMNS))
    assert rows == [
        (1, {"number": "1", "text": "a"}),
        (2, None),
        (3, None),
        (4, {"number": "4", "text": "d"}),
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"{}", "not a JSON array"),
        (b"[1]", "not an object"),
        (b"[{}", "no end"),
        (b"[{}] [", "something follows"),
        (gzip.compress(b"", mtime=0), "empty"),
        (zipped(b"[]", "a", "b"), "holds 2 files"),
        (b"\xff\xfe[", "cannot be read"),
    ],
)
def test_each_kind_of_damage_has_its_words(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(DamagedMaster, match=words):
        list(json_objects(saved(tmp_path, data)))


def test_a_header_without_a_needed_column_is_damage(tmp_path: Path) -> None:
    for data, words in ((b"text\nx\n", "lacks number"), (b"", "empty"), (b"<html>\n", "lacks number, text")):
        with pytest.raises(DamagedMaster, match=words):
            list(csv_rows(saved(tmp_path, data), COLUMNS))


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_a_bomb_is_refused_long_before_it_is_unfolded(tmp_path: Path, kind: str) -> None:
    bomb = tmp_path / "bomb"
    with ExitStack() as stack:
        if kind == "gz":
            file: IO[bytes] = stack.enter_context(gzip.open(bomb, "wb"))  # type: ignore[assignment]
        else:
            archive = stack.enter_context(zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED))
            file = stack.enter_context(archive.open("master.txt", "w"))
        file.write(b"[")
        for _ in range(128):
            file.write(b" " * 2**20)
    code = (
        "import sys; from pathlib import Path; from broker.master_file import json_objects\n"
        "from domain.masters import DamagedMaster\n"
        "try: list(json_objects(Path(sys.argv[1])))\n"
        "except DamagedMaster as error: print(error)\n"
        "status = Path('/proc/self/status')\n"
        "lines = status.read_text().splitlines() if status.exists() else []\n"
        "print(*[line.split()[1] for line in lines if line.startswith('VmHWM')] or [0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bomb)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    words, peak = done.stdout.split("\n")[:2]
    assert "unfolds to far more" in words
    assert int(peak) < 80 * 1024


def test_a_line_without_end_is_damage(tmp_path: Path) -> None:
    with pytest.raises(DamagedMaster):
        list(csv_rows(saved(tmp_path, b"number,text\n1," + b"a" * 2**22 + b"\n"), COLUMNS))
    with pytest.raises(DamagedMaster):
        list(json_objects(saved(tmp_path, b'[{"a": "' + b"a" * 2**23 + b'"}]')))


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "inf", "-1", "1e", "١٢", "1_0", "0x1f"])
def test_cells_that_are_no_numbers(cell: str) -> None:
    with pytest.raises(ValueError, match="no number"):
        number_of(cell)


def test_whole_cells_may_have_a_point() -> None:
    assert whole_of("75.0") == 75
    with pytest.raises(ValueError, match="no whole number"):
        whole_of("75.5")
