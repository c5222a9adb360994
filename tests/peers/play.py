"""Run a program, visit it, and print what happened: ``python -m tests.peers.play functions``.

``MODULE`` names the package it runs with, ``ASYNC_MODE`` the runtime.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tests.live import serve
from tests.peers.harness import Harness
from tests.peers.visitors import Visitor


class Play:
    """A running program, its visitors, and the transcript."""

    def __init__(self, program: Any, url: str, path: str, serializer: str) -> None:
        self.program = program
        self.url = url
        self.names: dict[str, str] = {}
        self.lines: list[Any] = []
        self._visitors: list[Visitor] = []
        self._how = {"socketio_path": path, "serializer": serializer}

    def write(self, what: str, value: Any) -> None:
        self.lines.append([what, value])

    def visitor(self, name: str, *namespaces: str, **options: Any) -> Visitor:
        """Let somebody come; write how that went."""
        visitor = Visitor(name, self.names)
        self._visitors.append(visitor)
        how = {**self._how, "headers": {"X-From": name}, **options}
        self.write(f"{name} comes", visitor.connect(self.url, *namespaces, **how))
        return visitor

    def end(self) -> None:
        """Let everybody go who is still there."""
        while self._visitors:
            self._visitors.pop().leave()

    def note_log(self, what: str, count: int) -> None:
        """Write what the handlers were given, once they were given so much."""
        log, waited = self.program.log, threading.Event()
        for _ in range(6000):
            if len(log) >= count:
                break
            waited.wait(0.01)
        taken, log[:] = list(log), []
        known = Visitor("nobody", self.names).known
        # Who was refused has no name: the client never learns its id.
        self.write(what, sorted((known(each) for each in taken), key=repr))

    def fetch(self, path: str) -> None:
        """Ask for a page over HTTP."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                kind = answer.headers["Content-Type"].partition(";")[0]  # we name the charset too
                self.write(path, [answer.status, kind, answer.read().decode()])
        except urllib.error.HTTPError as error:
            self.write(path, [error.code, error.read().decode()])
            error.close()


def conversation(play: Play, *transports: str) -> None:
    """What both programs do alike; who comes second does so on these transports."""
    ann = play.visitor("Ann", "/", "/chat")
    play.write("Ann hears", ann.got(1))
    bob = play.visitor("Bob", "/", transports=transports)
    play.write("Bob hears", bob.got(1))
    play.note_log("handlers", 3)

    play.write("echo", ann.ask("echo", 1, "two", [3], {"four": None}))
    for what in ("none", "tuple", "list", "empty", "false"):
        play.write(f"reply {what}", ann.ask("reply", what))
    play.write("length", ann.ask("length", b"\x00\x01\x02"))
    play.write("about Ann", ann.ask("about"))
    play.write("about Bob", bob.ask("about"))

    ann.tell("say", "lobby", "hi")
    play.write("Bob hears Ann", bob.got(2))
    ann.tell("say", bob.sid(), "psst")
    play.write("Bob alone hears Ann", bob.got(2))
    ann.tell("say", ["lobby", bob.sid()], "once each")
    play.write("Bob hears Ann once", bob.got(2))
    bob.tell("shout", "all")
    play.write("Ann hears Bob", ann.got(6))
    play.write("Bob hears himself", bob.got(4))
    play.write("call", ann.ask("call", bob.sid()))
    play.write("call in vain", ann.ask("call_in_vain", bob.sid()))
    bob.speak.set()
    ann.tell("call_back", bob.sid())
    play.write("Ann hears the answer", ann.got(1))
    play.write("work", ann.ask("in_background", 3))
    play.write("Ann hears of work", ann.got(3))
    play.write("Bob was asked", bob.got(4))

    play.write("rooms", ann.ask("rooms", "a", "b", "c"))
    play.write("rooms", ann.ask("rooms", 7, "a", "c"))
    bob.ask("rooms", "shared", "x", "x")
    play.write("rooms", ann.ask("rooms", "shared", "x", "shared"))
    play.write("rooms of Bob", bob.ask("rooms", "lobby", "x", "x"))
    play.write("forbidden", ann.ask("forbidden", bob.sid()))
    play.write("visits", [ann.ask("visit"), ann.ask("visit"), bob.ask("visit")])

    play.write("in the chat", ann.ask("hello", 1, 2, namespace="/chat"))
    ann.tell("kick", bob.sid())
    play.write("Bob is out", bob.got(1))
    play.note_log("handlers", 1)
    carl = play.visitor("Carl", transports=transports)
    carl.got(1)
    carl.say_goodbye()
    play.note_log("handlers", 2)
    ann.tell("kick", ann.sid())
    play.program.server.disconnect(ann.sid("/chat"), namespace="/chat")
    play.write("Ann is out", ann.got(2))
    play.note_log("handlers", 2)


def refusals(play: Play, *more: Any) -> None:
    """Who is refused is told why, and hears nothing else."""
    for refuse in ("false", [], ["no"], ["no", 1], ["no", {"a": 1}, 2], *more):
        visitor = play.visitor("Eve", auth={"refuse": refuse})
        play.write(f"Eve hears for {refuse}", visitor.got(1))
    play.program.log.clear()
    # Of a namespace nobody serves each package has words of its own.
    play.visitor("Eve", "/any", auth={"any": False}).got(1)
    play.program.log.clear()


def functions(play: Play) -> None:
    conversation(play, "polling")
    refusals(play, "builtin")
    play.visitor("Eve", "/nowhere").got(1)
    dan = play.visitor("Dan", "/", "/any", auth={"any": True})
    dan.got(1)
    play.write("another name", dan.ask("reply again", "tuple"))
    play.write("stacked", [dan.ask("size", b"123"), dan.ask("length", b"1")])
    play.write("any event", dan.ask("unheard of", 1))
    play.write("any namespace", dan.ask("hello", "x", namespace="/any"))
    play.write("any of any", dan.ask("unheard of", "x", namespace="/any"))
    play.note_log("handlers", 3)
    dan.tell("kick", dan.sid())
    play.program.server.disconnect(dan.sid("/any"), "/any")
    play.note_log("handlers", 2)
    flo = play.visitor("Flo", socketio_path="below/ws")
    flo.got(1)
    play.write("below", flo.ask("about"))
    flo.tell("kick", flo.sid())
    flo.got(1)
    paths = ("/", "/feed", "/files/page.html", "/files/other.txt", "/files/style.css")
    more = ("/files/data.json", "/files/none", "/more/sub/", "/elsewhere", "/below/s/page.html")
    for path in (*paths, *more, "/files/sub/", "/files/../play.py", "/below/x"):
        play.fetch(path)


def classes(play: Play) -> None:
    # Not polling: with it python-socketio loses its own client now and then.
    conversation(play, "websocket")
    refusals(play)
    dan = play.visitor("Dan", "/", "/wide", "/any", auth={"any": 1})
    dan.got(1)
    play.write("bytes", dan.ask("bytes", b"\x00", b"\x01\x02"))
    play.write("nested bytes", dan.got(1))
    play.write("any name", dan.ask("whatever this is", 1, namespace="/wide"))
    play.write("any namespace", dan.ask("hello", "x", namespace="/any"))
    play.note_log("handlers", 4)
    dan.tell("kick", dan.sid())
    for namespace in ("/wide", "/any"):
        play.program.server.disconnect(dan.sid(namespace), namespace=namespace)
    play.note_log("handlers", 3)
    flo = play.visitor("Flo", "/chat")
    play.write("no method", flo.ask("nothing", namespace="/chat"))
    play.write("a function first", flo.ask("special", 1, namespace="/chat"))
    play.program.server.disconnect(flo.sid("/chat"), namespace="/chat")
    play.note_log("handlers", 2)
    for path in ("/", "/index.html", "/plain", "/nothing"):
        play.fetch(path)


def transports(play: Play) -> None:
    """A client of every kind; the last is still there when the server ends."""
    for chosen in (["polling"], ["websocket"], None):
        visitor = play.visitor("Ann", transports=chosen)
        play.write("hears", visitor.got(1))
        play.write("echo", visitor.ask("echo", {"a": [1]}))
        visitor.tell("in_background", 2)
        play.write("is told", visitor.got(2))
        if chosen is not None:
            visitor.tell("kick", visitor.sid())
            play.write("is let go", visitor.got(1))


def site(play: Play) -> None:
    """A framework's pages beside clients, and a view that speaks to them."""
    ann, bob = play.visitor("Ann", transports=["polling"]), play.visitor("Bob")
    play.write("echo", ann.ask("echo", "a", 1))
    play.fetch("/say/hello")
    play.write("Ann hears", ann.got(1))
    play.write("Bob hears", bob.got(1))
    play.fetch("/say/bye")
    play.write("Ann hears", ann.got(1))
    play.write("Bob hears", bob.got(1))
    for visitor in (ann, bob):
        play.program.server.disconnect(visitor.sid())
        play.write("is let go", visitor.got(1))


@contextmanager
def running(program: Any) -> Iterator[str]:
    """Serve a program: with threads as either package's may be, gevent's server for us."""
    if os.environ["ASYNC_MODE"] == "gevent":
        with serve("gevent", program.application, program.server) as live:
            yield live.url
        return
    harness = Harness(program.server, program.application)
    try:
        yield harness.url
    finally:
        harness.stop()


SCENES = {
    "bottle_site": site,
    "classes": classes,
    "functions": functions,
    "pyramid_site": site,
    "transports": transports,
}


def main(scene: str) -> None:
    name = "functions" if scene == "transports" else scene
    program = import_module(f"tests.peers.{name}")
    how = ("ws", "msgpack") if name == "classes" else ("socket.io", "default")
    with running(program) as url:
        play = Play(program, url, *how)
        try:
            SCENES[scene](play)
            if scene != "transports":
                play.end()
        except BaseException:
            play.end()
            raise
    play.end()
    left = [thread.name for thread in threading.enumerate() if not thread.daemon]
    play.write("threads", left)
    for line in play.lines:
        print(json.dumps(line))


if __name__ == "__main__":
    main(sys.argv[1])
