"""Flask's session as a server-side row: the cookie is a random name, everything else stays here."""

from __future__ import annotations

from typing import Any

from flask import Flask, Request, Response, g
from flask.sessions import SessionInterface, SessionMixin
from werkzeug.datastructures import CallbackDict

from services.browser_sessions import BrowserSession, BrowserSessions

_YEAR = 365 * 24 * 3600


class PageSession(CallbackDict, SessionMixin):  # type: ignore[type-arg]
    """What a page keeps about its browser. `row` is None until there is something to keep."""

    def __init__(self, row: BrowserSession | None) -> None:
        def changed(_: PageSession) -> None:
            self.modified = True

        super().__init__(row.data if row else {}, changed)
        self.row = row
        self.modified = False
        self.renew_for: tuple[int | None] | None = None

    @property
    def user_id(self) -> int | None:
        return self.row.user_id if self.row else None

    def renew(self, user_id: int | None) -> None:
        """Continue under a new cookie for this user (None: nobody); the old cookie dies."""
        self.renew_for = (user_id,)
        self.modified = True


class RowSessions(SessionInterface):
    """Opens, saves and renews `PageSession`s. Secure cookies carry the __Host- prefix."""

    def __init__(self, sessions: BrowserSessions, *, secure: bool) -> None:
        self._sessions = sessions
        self._secure = secure

    def cookie_name(self, request: Request) -> str:
        return "__Host-openalgo" if self._is_secure(request) else "openalgo"

    def device_name(self, request: Request) -> str:
        return "__Host-openalgo-device" if self._is_secure(request) else "openalgo-device"

    def _is_secure(self, request: Request) -> bool:
        return self._secure or request.is_secure

    def open_session(self, app: Flask, request: Request) -> PageSession:
        """Never touches the store for a request without a cookie."""
        has_cookies = "HTTP_COOKIE" in request.environ
        cookie = request.cookies.get(self.cookie_name(request), "") if has_cookies else ""
        return PageSession(self._sessions.open(cookie) if cookie else None)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        assert isinstance(session, PageSession)
        from flask import request

        if device := g.get("device_cookie"):
            self._set(response, request, self.device_name(request), device, _YEAR)
        if session.row is None and not session and session.renew_for is None:
            return
        if session.renew_for is not None or (session.row is None and session.modified):
            self._begin(session, request, response)
        elif session.row is not None and session.modified:
            session.row.data = dict(session)
            self._sessions.save(session.row)
        elif session.row is not None:
            self._sessions.touch(session.row, g.get("address") or request.remote_addr or "")

    def _begin(self, session: PageSession, request: Request, response: Response) -> None:
        user_id = session.renew_for[0] if session.renew_for else None
        cookie, session.row = self._sessions.begin(
            user_id,
            dict(session),
            address=g.get("address") or request.remote_addr or "",
            agent=request.headers.get("User-Agent", ""),
            replaces=session.row.hash if session.row else None,
        )
        self._set(response, request, self.cookie_name(request), cookie, None)

    def forget(self, session: PageSession, request: Request, response: Response) -> None:
        """End the session for good and take the cookie back."""
        if session.row is not None:
            self._sessions.end(session.row)
        session.clear()
        session.row, session.modified, session.renew_for = None, False, None
        secure = self._is_secure(request)
        response.delete_cookie(
            self.cookie_name(request), path="/", secure=secure, httponly=True, samesite="Lax"
        )

    def _set(self, response: Response, request: Request, name: str, value: str, age: int | None) -> None:
        kind: dict[str, Any] = {"path": "/", "httponly": True, "samesite": "Lax", "max_age": age}
        response.set_cookie(name, value, secure=self._is_secure(request), **kind)
