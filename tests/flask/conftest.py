"""What the tests of the Flask layer share."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from tests.flask.site import Site
from tests.live import Runtime


@pytest.fixture(scope="module", autouse=True)
def hub() -> None:
    """Have this thread's hub, which is never given back, before leaks are looked for."""
    gevent.get_hub()
    gevent.sleep(0)


@pytest.fixture
def site(runtime: Runtime) -> Iterator[Site]:
    """One application, in turn on either runtime."""
    site = Site(async_mode=runtime)
    yield site
    site.socketio.shutdown()
