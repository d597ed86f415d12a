"""Asking somebody who is signed in to prove it again before something that cannot be taken back."""

from __future__ import annotations

from flask import g, request

from blueprints.access import browser, known_device, platform, user
from blueprints.filters import clock_time
from domain.errors import Unauthorized
from services.login_guard import LockedOut


def wrong_password(field: str = "password") -> str:
    """ "" when the form's password is the signed-in user's, else what to say beside the field."""
    who = user()
    agent = request.headers.get("User-Agent", "")
    try:
        attempt = browser().guard.begin(
            who.name, "again", address=g.address, agent=agent, device=known_device(who.id)
        )
    except LockedOut as locked:
        return f"Too many wrong tries. The next one is looked at from {clock_time(locked.until)} IST."
    try:
        platform().accounts.verify_password(who.name, request.form.get(field, ""))
    except Unauthorized:
        browser().guard.failed(attempt)
        return "The password is wrong. Nothing was changed."
    browser().guard.succeeded(attempt)
    return ""
