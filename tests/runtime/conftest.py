"""What the tests of the runtime share with those of the server."""

from tests.server.conftest import close_clients

__all__ = ["close_clients"]
