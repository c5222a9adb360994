"""Save pictures of the example: ``python -m tests.browser.screenshots DIRECTORY``.

Phone and desktop, light and dark, in a conversation of five people.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.browser.paint import evening, png
from tests.browser.serving import Program, chromium, gunicorn, missing, running
from tests.browser.visitor import Visitor, file

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
SCREENS = {"phone": PHONE, "desktop": DESKTOP}
SCHEMES = ("light", "dark")


class Scene:
    """Five people in the lobby who have something to say."""

    def __init__(self, browser: Browser, server: Program) -> None:
        self.browser = browser
        self.server = server
        self.people = {
            name: self.visitor(name) for name in ("Amélie", "Jonas Weber", "Priya", "Kofi", "Ines")
        }

    def visitor(self, name: str, **options: Any) -> Visitor:
        """Send somebody in, with a browser of these properties."""
        page = self.browser.new_context(locale="en-GB", **options).new_page()
        visitor = Visitor(page, self.server, name)
        visitor.is_online()
        return visitor

    def say(self, name: str, text: str) -> None:
        """Let somebody say something, and wait until all others have read it."""
        from playwright.sync_api import expect

        self.people[name].write(text)
        for visitor in self.people.values():
            expect(visitor.message(text.splitlines()[0])).to_have_count(1)

    def talk(self, me: Visitor) -> None:
        """Fill the lobby; ``me`` takes part."""
        from playwright.sync_api import expect

        self.people["me"] = me
        self.say("Amélie", "Morning everyone! Did anybody see the sky last night?")
        self.say("Jonas Weber", "I did, from the train!")
        self.say("Jonas Weber", "Took a picture somewhere after Lausanne, wait")
        self.people["Jonas Weber"].page.locator("#file").set_input_files(
            file(png(480, 300, evening))
        )
        expect(me.pictures()).to_have_js_property("naturalWidth", 480)
        self.say("me", "Oh, that is beautiful. May I use it as my wallpaper?")
        self.say("Jonas Weber", "Of course!")
        self.say("Priya", "Wow, those colours")
        self.say("Kofi", "The forecast says the same again tonight: https://example.org/sky")
        self.say("me", "Then let us meet at the lake at eight.")
        self.say("me", "I bring tea ☕")
        self.people["Ines"].go("#kitchen")
        self.people["Ines"].write("Who took my mug?")
        expect(me.page.locator('[data-address="#kitchen"] .unread')).to_have_count(1)
        self.people["Kofi"].go("@Sofia")
        self.people["Kofi"].write("Shall I bring my sister?")
        expect(me.page.locator("#privates .unread")).to_have_count(1)
        self.people["Amélie"].page.locator("#text").press_sequentially("Good")
        expect(me.page.locator("#typing")).to_have_text("Amélie is typing")

    def end(self) -> None:
        """Close all browsers."""
        for context in self.browser.contexts:
            context.close()


def shoot(page: Page, file: Path) -> None:
    """Save what a page shows once its pictures and animations have settled."""
    page.evaluate("document.getAnimations().forEach(a => a.playState === 'running' && a.finish)")
    page.screenshot(path=file, animations="disabled")
    print(file)


def main(directory: Path) -> None:
    """Save every picture."""
    directory.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for screen, options in SCREENS.items():
            for scheme in SCHEMES:
                with running(gunicorn("example_app.wsgi:app")) as server:
                    _scene(browser, server, directory / f"{screen}-{scheme}", options, scheme)


def _scene(
    browser: Browser, server: Program, stem: Path, options: dict[str, Any], scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(server.url)
    shoot(page, stem.with_name(f"{stem.name}-join.png"))
    scene = Scene(browser, server)
    me = scene.visitor("Sofia", color_scheme=scheme, **options)
    scene.talk(me)
    shoot(me.page, stem.with_name(f"{stem.name}.png"))
    if stem.name.startswith("phone"):
        me.page.get_by_role("button", name="Rooms and people").click()
        shoot(me.page, stem.with_name(f"{stem.name}-list.png"))
        me.page.keyboard.press("Escape")
    me.page.evaluate("location.hash = '#travel'")
    me.page.locator(".empty").wait_for()
    server.stop()
    me.page.locator("#banner").wait_for()
    me.write("Is anybody planning a trip in spring?")
    shoot(me.page, stem.with_name(f"{stem.name}-offline.png"))
    scene.end()


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"))
