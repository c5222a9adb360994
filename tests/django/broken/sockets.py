"""Fails as a module with a misspelt import does."""

import flask_sio.no_such_module  # type: ignore[import-not-found] # noqa: F401
