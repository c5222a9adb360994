import sqlite3
from collections.abc import Iterator
from typing import Annotated

from flask import Flask
from flask_sio import EventRefusedError, Inject, Socket, SocketIO

app = Flask(__name__)
socketio = SocketIO(app)


def open_notes() -> Iterator[sqlite3.Connection]:
    notes = sqlite3.connect("notes.sqlite")
    try:
        with notes:  # commits, or after an exception rolls back
            notes.execute("CREATE TABLE IF NOT EXISTS notes (author, text)")
            yield notes
    finally:
        notes.close()


def name_of(socket: Socket) -> str:
    if not socket.auth:
        raise EventRefusedError("who are you?")
    return socket.auth["name"]


Notes = Annotated[sqlite3.Connection, Inject(open_notes)]
Author = Annotated[str, Inject(name_of)]


@socketio.on("add")
def add(text: str, notes: Notes, author: Author):
    notes.execute("INSERT INTO notes VALUES (?, ?)", (author, text))


@socketio.on("list")
def list_notes(notes: Notes):
    return [text for (text,) in notes.execute("SELECT text FROM notes ORDER BY rowid")]
