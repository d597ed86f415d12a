"""The HTTP door, /api/v1: reads a request, calls one service, writes the public JSON. No business rules.

`api.register(app)` hangs every endpoint on a Flask application. Field names live in `fields/`, HTTP numbers and
error bodies in `errors.py`, rate limits in `limits.py`.
"""
