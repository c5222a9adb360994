"""Payloads by the annotations of handlers: what is checked, how, and what a client is told.

`signature` reads a handler once and wraps it if it asks for a model; `shapes` makes a check
of each annotation; `records` checks dataclasses, typed dicts and named tuples, `libraries`
has models of pydantic and msgspec checked by these.
"""

from flask_sio.server.payloads.signature import Typed, typed

__all__ = ["Typed", "typed"]
