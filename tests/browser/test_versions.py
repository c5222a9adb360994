"""Stock clients of Engine.IO 3 in a browser, where they send and take other forms than in Node.

There they have no XMLHttpRequest that takes bytes, and poll by text alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.serving import ROOT, Program, gunicorn, running
from tests.servers.node import need_node

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

NewPage = Callable[..., "Page"]

CLIENTS = ["socket.io-client-1", "socket.io-client-2"]
MODES: dict[str, dict[str, Any]] = {
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
    "default": {},
    "jsonp": {"transports": ["polling"], "forceJSONP": True},
}

DRIVE = r"""
async ([url, modes]) => {
  const TEXT = "é€\u{1f600}\ud800 \n\\n\\\n\u2028</script>&+%";
  const BYTES = Uint8Array.from({ length: 256 }, (_, value) => value).buffer;
  const SMALL = new ArrayBuffer(0);  // 1.x and 2.x find these, and not what shows them
  const plain = (value) => JSON.stringify(value, (_, each) =>
    each instanceof ArrayBuffer ? ["bytes", ...new Uint8Array(each)] : each);
  const drive = async (options) => {
    const socket = io(url, { ...options, forceNew: true, reconnection: false });
    const failed = new Promise((_, reject) => {
      for (const event of ["error", "connect_error", "disconnect"])
        socket.on(event, (what) => reject(new Error(`${event} ${what?.message ?? what}`)));
    });
    const all = (start) => new Promise((resolve) => start((...got) => resolve(got)));
    const next = (event) => all((resolve) => socket.once(event, resolve));
    const ask = (...args) => all((resolve) => socket.emit(...args, resolve));
    const run = async () => {
      await next("connect");
      socket.on("question", (...args) => args.pop()(...args, "answered"));
      for (const value of [TEXT, BYTES, SMALL, { list: [BYTES, { deep: SMALL }], text: TEXT }]) {
        const said = next("said");
        socket.emit("say", value, TEXT);
        const answers = [await said, await ask("echo", value), await ask("ask_me", value)];
        const due = [[value, TEXT], [value], [value, "answered"]];
        if (plain(answers) !== plain(due))
          return `${plain(answers).slice(0, 200)} is not ${plain(due).slice(0, 200)}`;
      }
      return "fine";
    };
    const result = await Promise.race([run(), failed]).catch(String);
    socket.close();
    return result;
  };
  const results = await Promise.all(Object.values(modes).map(drive));
  return Object.fromEntries(Object.keys(modes).map((mode, index) => [mode, results[index]]));
}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Program]:
    """One that lets pages of another origin in, and JSONP."""
    need_node(*CLIENTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPEN", "1")
        with running(gunicorn("tests.servers.apps.versions:app")) as program:
            yield program
    assert "Traceback" not in program.output, program.output


@pytest.mark.parametrize("name", CLIENTS)
def test_a_page_of_another_origin_speaks_to_the_server(
    new_page: NewPage, server: Program, name: str
) -> None:
    """Text and bytes go both ways on every transport, JSONP among them."""
    page = new_page()
    page.goto(f"http://localhost:{server.port}/")
    bundle = ROOT / "node_modules" / name / "dist" / "socket.io.js"
    page.add_script_tag(content=bundle.read_text())
    assert page.evaluate(DRIVE, [server.url, MODES]) == dict.fromkeys(MODES, "fine")
