"""The cheapest answer that the web stack can give: one Flask-RESTX route, no key, no validation, no limiter.

`python -m bench.bare PORT` serves it the way the product is served; the share of it that `ping` reaches says what
the door costs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from flask import Flask
from flask_restx import Api, Resource

import config
from commands.web_server import Server


class Ping(Resource):
    def post(self) -> dict[str, str]:
        return {"status": "success"}


def main(port: int) -> None:
    app = Flask(__name__)
    Api(app, doc=False).add_resource(Ping, "/api/v1/ping")
    with tempfile.TemporaryDirectory() as scratch:
        settings = config.load(Path(scratch), overrides={"FLASK_PORT": str(port)})
        print("ready", flush=True)
        Server(settings, -1).serve(target_loader=lambda: app, wrap_loader=False)


if __name__ == "__main__":
    main(int(sys.argv[1]))
