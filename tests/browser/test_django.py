"""The Django site in a real browser: the mount serves its page and its Socket.IO."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.serving import Program

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NewPage = Callable[..., "Page"]


def enter(page: Page, server: Program, name: str) -> None:
    """Open the page and come in."""
    from playwright.sync_api import expect

    page.goto(server.url)
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Come in").click()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()


def test_two_people_chat_on_a_django_page(new_page: NewPage, django_chat: Program) -> None:
    """What one writes the other reads, as text; who comes later reads it, too."""
    from playwright.sync_api import expect

    alice, bob = new_page(), new_page()
    enter(alice, django_chat, "Alice")
    enter(bob, django_chat, "Bob")
    expect(alice.get_by_role("status")).to_have_text("Alice, Bob over websocket")
    alice.get_by_label("Message", exact=True).fill("Hello <i>Bob</i>")
    alice.keyboard.press("Enter")
    for page in (alice, bob):
        expect(page.locator("#log li")).to_have_text("AliceHello <i>Bob</i>")
    bob.reload()
    enter(bob, django_chat, "Bob")
    expect(bob.locator("#log li")).to_have_text("AliceHello <i>Bob</i>")


def test_a_refused_name_is_explained(new_page: NewPage, django_chat: Program) -> None:
    """A connect handler's refusal reaches the page with its reason."""
    from playwright.sync_api import expect

    page = new_page()
    page.goto(django_chat.url)
    page.get_by_label("Your name").fill("   ")
    page.get_by_role("button", name="Come in").click()
    expect(page.get_by_role("alert")).to_have_text("A name has 1 to 24 characters.")
