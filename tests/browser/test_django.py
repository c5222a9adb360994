"""The Django site in a real browser: its users chat under the names Django knows them by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.serving import Program

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NewPage = Callable[..., "Page"]


def log_in(page: Page, server: Program, name: str) -> None:
    """Log in with Django's form; the chat comes after it."""
    from playwright.sync_api import expect

    page.goto(server.url)
    page.get_by_role("link", name="Log in").click()
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(name)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Message", exact=True)).to_be_focused()


def say(page: Page, text: str) -> None:
    """Send a message with the return key."""
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def test_two_users_chat_under_their_names(django_chat: Program, new_page: NewPage) -> None:
    """What one writes the other reads, as text, with the name of the Django user."""
    from playwright.sync_api import expect

    alice, bob = new_page(), new_page()
    log_in(alice, django_chat, "alice")
    log_in(bob, django_chat, "bob")
    expect(alice.get_by_role("status")).to_have_text("alice, bob over websocket")
    say(alice, "Hello <i>Bob</i>")
    for page in (alice, bob):
        expect(page.locator("#log li")).to_have_text(["aliceHello <i>Bob</i>"])
    say(bob, "Hello Alice")
    for page in (alice, bob):
        expect(page.locator("#log li").nth(1)).to_have_text("bobHello Alice")
    bob.reload()
    expect(bob.locator("#log li")).to_have_text(["aliceHello <i>Bob</i>", "bobHello Alice"])


def test_who_has_not_logged_in_is_refused_and_told_why(
    django_chat: Program, new_page: NewPage
) -> None:
    """The page opens for everybody; the chat on it does not."""
    from playwright.sync_api import expect

    page = new_page()
    page.goto(django_chat.url)
    expect(page.get_by_role("alert")).to_have_text("Please log in.")
    expect(page.get_by_role("status")).to_have_text("Not connected")
    expect(page.locator("#write")).to_be_hidden()


def test_a_logout_ends_the_chat_of_a_page_that_is_still_open(
    django_chat: Program, new_page: NewPage
) -> None:
    """After a logout elsewhere the open connection may say nothing more."""
    from playwright.sync_api import expect

    page = new_page()
    log_in(page, django_chat, "alice")
    other = page.context.new_page()
    other.goto(django_chat.url)
    other.get_by_role("button", name="Log out alice").click()
    expect(other.get_by_role("alert")).to_have_text("Please log in.")
    say(page, "still me?")
    expect(page.get_by_role("alert")).to_have_text("You have been logged out.")
    other.get_by_role("link", name="Log in").wait_for()
    expect(page.locator("#log li")).to_have_count(0)
