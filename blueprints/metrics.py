"""`/metrics` for Prometheus, to the networks that may read it and to nobody else."""

from __future__ import annotations

import ipaddress

from flask import Blueprint, Response, abort, g

from blueprints.access import desk, platform

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Numbers only: no symbol, no account, no name."""
    allowed = platform().settings.metrics_networks
    try:
        address = ipaddress.ip_address(g.get("address") or "")
    except ValueError:
        abort(404)
    if not any(address in ipaddress.ip_network(network) for network in allowed):
        abort(404)
    return Response(desk().metrics.text(), mimetype="text/plain; version=0.0.4; charset=utf-8")
