"""Kite Connect's postbacks: the order row as JSON, `checksum` = SHA-256 of order_id + order_timestamp + api_secret.

The checksum covers neither state nor quantities. The SDK does not know postbacks: the rule is the one that installs of
the public API have checked by; not seen against the broker itself.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import orjson

from broker import fields
from broker.postback import Postback
from domain.errors import InvalidRequest


def read(body: bytes) -> Postback:
    """Raises InvalidRequest for a body that is none."""
    try:
        row = fields.row(orjson.loads(body))
        order_id, at = fields.text(row, "order_id"), fields.text(row, "order_timestamp")
        checksum = fields.text(row, "checksum")
        told = fields.text(row, "status"), fields.quantity(row, "filled_quantity")
        user = fields.maybe_text(row, "user_id")
    except ValueError as error:
        raise InvalidRequest(f"This is no postback: {error}", "body") from error

    def is_signed_by(login: Mapping[str, str]) -> bool:
        secret = login.get("api_secret", "")
        proof = hashlib.sha256(f"{order_id}{at}{secret}".encode()).hexdigest()
        return bool(secret) and hmac.compare_digest(proof.encode(), checksum.lower().encode())

    return Postback(
        order_id=order_id, status_word=told[0], filled=told[1], broker_user=user, is_signed_by=is_signed_by
    )
