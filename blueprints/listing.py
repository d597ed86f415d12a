"""Tables that sort, filter and page on the server, and leave as CSV that no spreadsheet will run."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from flask import Response, request, url_for

Row = TypeVar("Row")
Key = Callable[[Any], Any]
PAGE = 50
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Page:
    """One page's place in the whole; links are "" where there is nothing."""

    first: int
    last: int
    total: int
    previous: str
    next: str


class Listing(Generic[Row]):
    """Rows as the query string asks for them: `sort`, `desc`, `q`, `page`.

    `columns` maps a sortable name to its key; None keys sort last. `text` gives what `q` is looked for in.
    """

    def __init__(
        self,
        rows: Iterable[Row],
        columns: Mapping[str, Key],
        *,
        sort: str = "",
        descending: bool = False,
        text: Callable[[Row], str] | None = None,
        size: int = PAGE,
    ) -> None:
        asked = request.args.get("sort", "")
        self.sort = asked if asked in columns else sort
        self.descending = request.args.get("desc") == "1" if asked in columns else descending
        self.words = request.args.get("q", "").strip()
        self._columns = columns
        found = [row for row in rows if self._matches(row, text)]
        if self.sort:
            found.sort(key=lambda row: _sortable(columns[self.sort](row)), reverse=self.descending)
        self.all = found
        self._size = size
        self.number = max(1, min(_whole(request.args.get("page", "1")), self.pages))

    @property
    def pages(self) -> int:
        return max(1, -(-len(self.all) // self._size))

    @property
    def rows(self) -> Sequence[Row]:
        """The rows of the page that was asked for."""
        start = (self.number - 1) * self._size
        return self.all[start : start + self._size]

    @property
    def page(self) -> Page:
        start = (self.number - 1) * self._size
        last = min(start + self._size, len(self.all))
        return Page(
            first=start + 1 if self.all else 0,
            last=last,
            total=len(self.all),
            previous=self.link(page=self.number - 1) if self.number > 1 else "",
            next=self.link(page=self.number + 1) if self.number < self.pages else "",
        )

    def link(self, **changes: Any) -> str:
        """This page with other query values; None removes one."""
        asked = request.args.to_dict()
        asked.pop("part", None)
        values = {**asked, **(request.view_args or {}), **changes}
        kept = {name: value for name, value in values.items() if value not in (None, "")}
        return url_for(str(request.endpoint), **kept)

    def sorted_by(self, name: str) -> str:
        """The link of a column head: sorts by it, and turns round when it already does."""
        turned = "1" if self.sort == name and not self.descending else None
        return self.link(sort=name, desc=turned, page=None)

    def _matches(self, row: Row, text: Callable[[Row], str] | None) -> bool:
        if text is None or not self.words:
            return True
        there = text(row).upper()
        return all(word in there for word in self.words.upper().split())


def _sortable(value: Any) -> tuple[int, Any]:
    return (1, 0) if value is None else (0, value)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 else 1


def csv_answer(name: str, columns: Mapping[str, Key], rows: Iterable[Any]) -> Response:
    """A CSV download. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(read(row)) for read in columns.values()] for row in rows)
    answer = Response("\ufeff" + out.getvalue(), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_DANGEROUS) else value
    return f"{value:f}" if hasattr(value, "as_tuple") else str(value)
