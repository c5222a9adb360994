"""Two people use the example in real browsers: every feature, and a restart of the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.browser.paint import noise, plain, png
from tests.browser.serving import Program
from tests.browser.visitor import Visitor, file

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NewPage = Callable[..., "Page"]


@pytest.fixture
def alice(parlour: Program, new_page: NewPage) -> Visitor:
    """Alice, in the lobby."""
    visitor = Visitor(new_page(), parlour, "Alice")
    visitor.is_online()
    return visitor


@pytest.fixture
def bob(alice: Visitor, parlour: Program, new_page: NewPage) -> Visitor:
    """Bob, in the lobby, where Alice is already."""
    visitor = Visitor(new_page(), parlour, "Bob")
    visitor.is_online()
    return visitor


def test_text_goes_both_ways_and_is_ticked(alice: Visitor, bob: Visitor) -> None:
    """What one writes the other reads, as text and not as HTML; the ticks say it arrived."""
    from playwright.sync_api import expect

    alice.write("Hello <b>Bob</b> & <img src=x onerror=alert(1)>")
    expect(bob.message("Hello <b>Bob</b> & <img src=x onerror=alert(1)>")).to_have_count(1)
    expect(alice.tick("Hello")).to_have_attribute("data-state", "delivered")
    bob.write("Hello Alice, see https://example.org/a?b=1.")
    answer = alice.message("Hello Alice")
    expect(answer.locator(".author")).to_have_text("Bob")
    expect(answer.get_by_role("link")).to_have_attribute("href", "https://example.org/a?b=1")


def test_one_tick_while_nobody_else_is_there(alice: Visitor) -> None:
    """A message that only the server has got carries one tick."""
    from playwright.sync_api import expect

    alice.write("Anybody?")
    expect(alice.tick("Anybody?")).to_have_attribute("data-state", "sent")


def test_who_is_here_follows_who_comes_and_goes(alice: Visitor, bob: Visitor) -> None:
    """The list of people and the numbers at the rooms change with every move."""
    from playwright.sync_api import expect

    names = alice.page.locator("#people .entry-name")
    expect(names).to_have_text(["Alice", "Bob"])
    bob.go("#kitchen")
    expect(bob.page.locator("#title")).to_have_text("Kitchen")
    expect(names).to_have_text(["Alice"])
    kitchen = alice.page.locator('[data-address="#kitchen"]')
    expect(kitchen.locator(".entry-count")).to_contain_text("1")
    bob.write("The soup is ready")
    expect(kitchen.locator(".unread")).to_contain_text("1")
    alice.go("#kitchen")
    expect(alice.message("The soup is ready")).to_be_visible()
    bob.page.close()
    expect(names).to_have_text(["Alice"])


def test_people_can_make_a_room(alice: Visitor, bob: Visitor) -> None:
    """A new room appears for everybody, and its maker is in it."""
    from playwright.sync_api import expect

    alice.page.get_by_role("button", name="Make a room").click()
    alice.page.get_by_label("Name of the new room").fill("Book club")
    alice.page.get_by_label("Name of the new room").press("Enter")
    expect(alice.page.locator("#title")).to_have_text("Book club")
    bob.go("#book-club")
    expect(alice.page.locator("#people .entry-name")).to_have_text(["Alice", "Bob"])


def test_typing_shows_and_vanishes(alice: Visitor, bob: Visitor) -> None:
    """The others see that somebody types, until the text is sent or taken back."""
    from playwright.sync_api import expect

    note = bob.page.locator("#typing")
    alice.page.locator("#text").press_sequentially("Hm")
    expect(note).to_have_text("Alice is typing")
    alice.page.locator("#text").fill("")
    expect(note).to_have_text("")
    alice.page.locator("#text").press_sequentially("Yes")
    expect(note).to_have_text("Alice is typing")
    alice.page.locator("#text").press("Enter")
    expect(bob.message("Yes")).to_be_visible()
    expect(note).to_have_text("")


def test_a_private_message_is_for_its_addressee(
    alice: Visitor, bob: Visitor, new_page: NewPage, parlour: Program
) -> None:
    """Bob gets what Alice writes to him alone; Carol, in the same room, does not."""
    from playwright.sync_api import expect

    carol = Visitor(new_page(), parlour, "Carol")
    carol.is_online()
    alice.go("@Bob")
    expect(alice.page.locator("#title")).to_have_text("Bob")
    alice.write("Just between us")
    expect(alice.tick("Just between us")).to_have_attribute("data-state", "delivered")
    expect(bob.page.locator("#privates .unread")).to_contain_text("1")
    bob.go("@Alice")
    expect(bob.message("Just between us")).to_be_visible()
    bob.write("Our secret")
    expect(alice.message("Our secret")).to_be_visible()
    # Later events of the room have arrived at Carol, so the private ones would have, too.
    alice.go("#lobby")
    alice.write("Hello all")
    expect(carol.message("Hello all")).to_be_visible()
    expect(carol.page.locator("#privates-section")).to_be_hidden()
    expect(carol.page.locator(".message")).to_have_count(1)


def test_a_picture_is_shown_in_line(alice: Visitor, bob: Visitor) -> None:
    """A picture arrives as binary, is drawn on the other side, and again after a reload."""
    from playwright.sync_api import expect

    alice.page.locator("#file").set_input_files(file(png(64, 48, plain)))
    expect(bob.pictures()).to_have_js_property("naturalWidth", 64)
    expect(alice.page.locator(".mine .tick")).to_have_attribute("data-state", "delivered")
    bob.pictures().click()
    expect(bob.page.get_by_role("dialog")).to_be_visible()
    bob.page.keyboard.press("Escape")
    expect(bob.page.get_by_role("dialog")).to_be_hidden()
    bob.page.reload()
    expect(bob.pictures()).to_have_js_property("naturalWidth", 64)


def test_a_large_picture_is_made_smaller_or_refused(alice: Visitor, bob: Visitor) -> None:
    """A photo over the limit is scaled down; what cannot be is refused with the reason."""
    from playwright.sync_api import expect

    alice.page.locator("#file").set_input_files(file(png(700, 500, noise())))
    expect(bob.pictures()).to_have_js_property("naturalWidth", 700)
    gif = b"GIF89a" + bytes(800_000)
    alice.page.locator("#file").set_input_files(file(gif, "film.gif", "image/gif"))
    alert = alice.page.get_by_role("alert")
    expect(alert).to_have_text("The picture is too large: 801 kB, the limit is 700 kB.")
    alice.page.locator("#file").set_input_files(file(b"%PDF", "a.pdf", "application/pdf"))
    expect(alert).to_contain_text("Pictures are PNG, JPEG, GIF or WebP files.")


def test_the_server_refuses_what_is_no_picture(alice: Visitor) -> None:
    """Bytes that only claim to be a picture are refused by the server, with the reason."""
    from playwright.sync_api import expect

    alice.page.locator("#file").set_input_files(file(b"<svg onload=alert(1)>"))
    note = alice.page.locator(".failed-note")
    expect(note).to_contain_text("Pictures are PNG, JPEG, GIF or WebP files.")
    expect(note.get_by_role("button", name="Try again")).to_be_visible()


def test_every_bad_request_is_answered_with_a_reason(alice: Visitor) -> None:
    """Whatever a client may send gets {"ok": false, "error": ...}; nothing breaks."""
    answers = alice.page.evaluate(
        """async () => {
          const socket = io({ forceNew: true });
          const long = "x".repeat(2001), cid = "12345678", to = "#lobby";
          const requests = [
            ["say"], ["say", null], ["say", []], ["say", "text"], ["say", {}],
            ["say", { to, cid }], ["say", { to, cid, text: 7 }], ["say", { to, cid, text: long }],
            ["say", { to, cid, text: " \\n " }], ["say", { to, cid, text: "\\u0000" }],
            ["say", { to, text: "a" }], ["say", { to, cid: "<>", text: "a" }],
            ["say", { to, cid: {}, text: "a" }], ["say", { cid, text: "a" }],
            ["say", { to: 5, cid, text: "a" }], ["say", { to: "#none", cid, text: "a" }],
            ["say", { to: "@Nobody", cid, text: "a" }], ["say", { to: "@Alice", cid, text: "a" }],
            ["picture", { to, cid }], ["picture", { to, cid, picture: "text" }],
            ["picture", { to, cid, picture: new Uint8Array(9) }],
            ["picture", { to, cid, picture: new Uint8Array(700001) }],
            ["join", {}], ["join", { to: "#none" }], ["join", { to: [] }],
            ["join", { title: "" }], ["join", { title: long }], ["join", { title: "<b>" }],
            ["join", { title: { a: 1 } }], ["open", {}], ["open", { to: "#lobby" }],
            ["typing", { to: "#none" }], ["got", 1],
          ];
          const answers = [];
          for (const request of requests) {
            answers.push(await socket.timeout(10000).emitWithAck(...request));
          }
          socket.disconnect();
          return answers;
        }"""
    )
    for answer in answers:
        assert answer["ok"] is False, answers
        assert answer["error"].endswith("."), answers


def test_the_chat_survives_a_restart(alice: Visitor, bob: Visitor, parlour: Program) -> None:
    """After a restart both are in their room again, and what was written meanwhile arrives."""
    from playwright.sync_api import expect

    for visitor in (alice, bob):
        visitor.go("#kitchen")
        expect(visitor.page.locator("#title")).to_have_text("Kitchen")
    alice.write("Before")
    expect(bob.message("Before")).to_be_visible()
    parlour.stop()
    for visitor in (alice, bob):
        expect(visitor.page.locator("#link-text")).to_have_text("Reconnecting")
        expect(visitor.page.locator("#banner")).to_be_visible()
    alice.write("Meanwhile")
    expect(alice.tick("Meanwhile")).to_have_attribute("data-state", "waiting")
    parlour.start()
    for visitor in (alice, bob):
        visitor.is_online()
        expect(visitor.page.locator("#banner")).to_be_hidden()
        expect(visitor.page.locator("#people .entry-name")).to_have_text(["Alice", "Bob"])
    expect(bob.message("Meanwhile")).to_have_count(1)
    expect(alice.tick("Meanwhile")).to_have_attribute("data-state", "delivered")
    bob.write("After")
    expect(alice.page.locator(".message .bubble")).to_contain_text(["Before", "Meanwhile", "After"])


def test_a_taken_name_is_refused(alice: Visitor, new_page: NewPage, parlour: Program) -> None:
    """A name is one person's, whatever its case, until that person leaves."""
    from playwright.sync_api import expect

    other = Visitor(new_page(), parlour, "aLICE")
    expect(other.page.get_by_role("alert")).to_have_text("The name “Alice” is taken.")
    expect(other.page.get_by_label("Your name")).to_have_value("aLICE")
    alice.page.get_by_role("button", name="Leave").click()
    expect(alice.page.get_by_label("Your name")).to_be_visible()
    other.page.get_by_role("button", name="Come in").click()
    other.is_online()


def test_polling_is_shown_as_such(parlour: Program, new_page: NewPage) -> None:
    """Where WebSocket is not to be had the chat goes on over polling, and says so."""
    from playwright.sync_api import expect

    page = new_page()
    page.add_init_script("delete window.WebSocket")
    dave = Visitor(page, parlour, "Dave")
    dave.is_online("polling")
    dave.write("Slow but here")
    expect(dave.tick("Slow but here")).to_have_attribute("data-state", "sent")


def test_a_phone_has_room_for_everything(
    alice: Visitor, new_page: NewPage, parlour: Program
) -> None:
    """At 360 pixels nothing is cut off, and the list is a drawer that the keyboard can use."""
    from playwright.sync_api import expect

    page = new_page(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    bob = Visitor(page, parlour, "Bob")
    bob.is_online()
    bob.write("From my phone, with one word that is very long: " + "a" * 120)
    expect(alice.message("From my phone")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate("document.querySelector('.scroll').scrollWidth") <= 360
    expect(page.locator("#send")).to_be_in_viewport()
    expect(page.locator("#side")).to_be_hidden()
    page.get_by_role("button", name="Rooms and people").click()
    expect(page.locator("#side")).to_be_visible()
    expect(page.get_by_role("button", name="Close the list")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#side")).to_be_hidden()
    page.get_by_role("button", name="Rooms and people").click()
    bob.go("#music")
    expect(page.locator("#side")).to_be_hidden()
    expect(page.locator("#title")).to_have_text("Music")
