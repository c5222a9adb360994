"""A headless Chromium, and the applications it visits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.serving import (
    PATIENCE_MS,
    Program,
    chromium,
    gunicorn,
    missing,
    running,
    runserver,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session", autouse=True)
def _everything_is_here() -> None:
    reason = missing()
    if reason and os.environ.get("FLASK_SIO_CI") == "1":
        pytest.fail(f"in CI the browser tests must run: {reason}")
    elif reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def browser(_everything_is_here: None) -> Iterator[Browser]:
    """One Chromium for a module's tests; each page gets a context of its own.

    Not for the session: while Playwright runs, this thread has a running event loop, under
    which Django refuses to touch its database.
    """
    with chromium() as running:
        yield running


@pytest.fixture
def new_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody new; an error in a page's script fails the test.

    Ask for it after the server: pages that are open when a server stops keep it for the two
    seconds of gunicorn's grace.
    """
    contexts, errors = [], []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: (
                errors.append(message.text) if "Content Security Policy" in message.text else None
            ),
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def parlour() -> Iterator[Program]:
    """The chat, with nobody in it."""
    with running(gunicorn("example_app.wsgi:app")) as server:
        yield server
    assert "Traceback" not in server.output, server.output


@pytest.fixture(params=["gunicorn", "runserver"])
def django_chat(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Program]:
    """The small Django site, as deployed and under Django's own development server."""
    monkeypatch.setenv("DJANGO_DATA_DIR", str(tmp_path / "instance"))
    site = "example_app.django_site.wsgi:application"
    with running(gunicorn(site) if request.param == "gunicorn" else runserver()) as server:
        yield server
    assert "Traceback" not in server.output, server.output
