"""Takes secrets out of text before it is written anywhere: by the names they go by, their shapes, and their values.

A net under code that already does not log secrets, so it prefers hiding too much.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterable, Mapping
from urllib.parse import quote

HIDDEN = "[redacted]"
_SHORTEST = 6

_NAME = (
    r"[\w.-]*(?:api[_-]?key|app[_-]?key|secret|passw(?:or)?d|passwd|pwd|pepper|fernet|(?<!broker_)token|totp|otp|mpin"
    r"|(?<![a-z])pin(?![a-z])|cookie|credential|authoriz\w*|auth[_-]?code|session[_-]?id|jkey|private[_-]?key)[\w.-]*"
)
_VALUE = r"""(?:\\?"(?:[^"\\]|\\[^"])*\\?"|'(?:[^'\\]|\\.)*'|[^\s"'&,;}\])]+)"""
_ONE_TIME = r"""(?=[^\s"']*[0-9])(?=[^\s"']*[A-Za-z])[^\s"',;}\])]{8,}"""
"""A login's one-time code, which is neither a number nor an error's word."""
_PATTERNS = (
    (re.compile(r"(?i)\b((?:set-)?cookie|(?:proxy-)?authorization)(\W{1,4})[^\r\n'\"]+"), rf"\1\2{HIDDEN}"),
    (re.compile(rf"(?i)(?<![\w.-])({_NAME})(\\?[\"']?\s*[:=]\s*){_VALUE}"), rf"\1\2{HIDDEN}"),
    (re.compile(r"(?i)([?&](?:code|key|sig|signature)=)[^&\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(rf"(?i)(?<![\w.-])(code)(\\?[\"']?\s*[:=]\s*\\?[\"']?){_ONE_TIME}"), rf"\1\2{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), HIDDEN),
    (re.compile(r"\bgAAAAA[\w=-]{20,}"), HIDDEN),
    (re.compile(r"(?<![0-9A-Za-z])[0-9a-fA-F]{64}(?![0-9A-Za-z])"), HIDDEN),
)


class Redactor:
    """Hides secrets in text. `know` adds values that must never be shown, whatever stands around them."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.know(*values)

    def know(self, *values: str) -> None:
        """Remember values. Shorter than six characters they would hide ordinary words, so they are left out."""
        with self._lock:
            for value in values:
                if len(value) >= _SHORTEST:
                    self._forms |= _forms(value)
            longest_first = sorted(self._forms, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        for pattern, shown in _PATTERNS:
            text = pattern.sub(shown, text)
        return text

    def value(self, value: object) -> object:
        """The same for a log event's field: text and bytes, and what mappings and sequences hold."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes):
            return self.text(value.decode("utf-8", "replace"))
        if isinstance(value, Mapping):
            return {key: self._named(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(item) for item in value]
        return value if value is None or isinstance(value, (bool, int, float)) else self.text(str(value))

    def _named(self, name: str, value: object) -> object:
        if value in (None, ""):
            return value
        one_time = name.lower() == "code" and _CODE.fullmatch(str(value)) is not None
        return HIDDEN if one_time or _SECRET_NAME.fullmatch(name) else self.value(value)


_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)
_CODE = re.compile(_ONE_TIME)


def _forms(value: str) -> set[str]:
    """How a value may stand in a line: as it is, in a URL, in base64, in hex."""
    raw = value.encode()
    encoded = base64.b64encode(raw).decode().rstrip("=")
    url_safe = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {value, quote(value, safe=""), encoded, url_safe, raw.hex()}
