"""What every answer carries: content security policy, no sniffing, no framing, no caching of what is private."""

from __future__ import annotations

import gzip
import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, g, request

_YEAR = "max-age=31536000; includeSubDomains"
_SQUEEZED = ("text/html", "text/csv", "application/json")
_SMALLEST = 1024
_BARE = "default-src 'none'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'"

_ALWAYS = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("cache-control", "no-store"),
)


def nonce() -> str:
    """This request's nonce for scripts and style sheets."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    text: str = g.csp_nonce
    return text


def policy(socket: str) -> str:
    """The content security policy. `socket` is the origin of the price feed, "" for none."""
    token = f"'nonce-{nonce()}'"
    rules = {
        "default-src": "'none'",
        "script-src": token,
        "style-src": f"'self' {token}",
        "img-src": "'self'",
        "font-src": "'self'",
        "connect-src": f"'self' {socket}".strip(),
        "manifest-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "object-src": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def socket_origin(websocket_url: str) -> str:
    """ws://host:port of the feed as this browser must call it.

    A feed that listens beside a web server reached by another name than the configured one is reached by that name.
    """
    parts = urlsplit(websocket_url)
    if parts.scheme not in ("ws", "wss"):
        return ""
    host = parts.hostname or ""
    if host in ("127.0.0.1", "localhost", "0.0.0.0", "::1"):  # noqa: S104
        host = urlsplit(f"//{request.host}").hostname or host
    bracketed = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{bracketed}" + (f":{parts.port}" if parts.port else "")


def install(app: Flask, websocket_url: str) -> None:
    """Add the headers to every answer of every door that did not set its own."""
    app.jinja_env.globals["nonce"] = nonce

    @app.after_request
    def _harden(answer: Response) -> Response:
        own = {name.lower() for name, _ in answer.headers}
        for name, value in _ALWAYS:
            if name not in own:
                answer.headers.add(name, value)
        if "content-security-policy" not in own:
            page = answer.mimetype == "text/html"
            rules = policy(socket_origin(websocket_url)) if page else _BARE
            answer.headers.add("content-security-policy", rules)
        if request.is_secure and "strict-transport-security" not in own:
            answer.headers.add("strict-transport-security", _YEAR)
        return _squeeze(answer)


def _squeeze(answer: Response) -> Response:
    """Compress a page; the API's answers are small and stay as they are."""
    if (
        request.path.startswith("/api/")
        or answer.is_streamed
        or answer.direct_passthrough
        or "Content-Encoding" in answer.headers
        or answer.mimetype not in _SQUEEZED
        or "gzip" not in request.headers.get("Accept-Encoding", "")
    ):
        return answer
    body = answer.get_data()
    if len(body) >= _SMALLEST:
        answer.set_data(gzip.compress(body, 4, mtime=0))
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers.add("Vary", "Accept-Encoding")
    return answer
