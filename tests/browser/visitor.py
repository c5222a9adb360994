"""A person at a page of the chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.browser.serving import Program

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def file(content: bytes, name: str = "picture.png", kind: str = "image/png") -> Any:
    """Return a file as a browser's file button takes it."""
    return {"name": name, "mimeType": kind, "buffer": content}


class Visitor:
    """A person at a page of the chat."""

    def __init__(self, page: Page, server: Program, name: str) -> None:
        self.page = page
        self.name = name
        page.goto(server.url)
        page.get_by_label("Your name").fill(name)
        page.get_by_role("button", name="Come in").click()

    def is_online(self, transport: str = "websocket") -> None:
        """Wait until the page shows a connection over this transport."""
        from playwright.sync_api import expect

        expect(self.page.locator("#link")).to_have_attribute("data-state", "online")
        expect(self.page.locator("#link-text")).to_have_text(transport)

    def write(self, text: str) -> None:
        """Type a text and send it with the return key."""
        self.page.locator("#text").fill(text)
        self.page.locator("#text").press("Enter")

    def message(self, text: str) -> Locator:
        """Find a message that is shown."""
        return self.page.locator(".message").filter(has_text=text)

    def pictures(self) -> Locator:
        """Find the pictures that are shown."""
        return self.page.locator(".picture img")

    def tick(self, text: str) -> Locator:
        """Find the delivery tick of an own message."""
        return self.message(text).locator(".tick")

    def go(self, conversation: str) -> None:
        """Choose a room or a private chat in the list."""
        self.page.locator(f'#side [data-address="{conversation}"]').first.click()
