"""The Socket.IO events of the chat.

A client asks with ``join``, ``open``, ``say``, ``picture``, ``typing`` and ``got``; each takes one
object and is acknowledged with ``{"ok": true, ...}`` or ``{"ok": false, "error": ...}``.
The server tells with ``message``, ``delivered``, ``typing``, ``people``, ``rooms``, ``activity``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import current_app, request, session

from flask_sio import ConnectionRefusedError, SocketIO, emit, join_room, leave_room

from . import limits
from .chat import Chat, Conversation, Message, Person
from .limits import Refused

Data = dict[str, Any]

socketio = SocketIO()


def chat() -> Chat:
    """Return the state that belongs to the current application."""
    state: Chat = current_app.extensions["parlour"]
    return state


def own_sid() -> str:
    """Return the id of the tab whose event is being handled."""
    sid: str = request.sid  # type: ignore[attr-defined] # the extension adds it
    return sid


def answered(name: str) -> Callable[[Callable[[Person, Data], Data | None]], None]:
    """Register a handler whose result, or refusal, becomes the acknowledgement."""

    def register(handler: Callable[[Person, Data], Data | None]) -> None:
        def on_event(data: Any = None, *_: Any) -> Data:
            try:
                person = chat().person(own_sid())
                return {"ok": True, **(handler(person, _object(data)) or {})}
            except Refused as refusal:
                return {"ok": False, "error": str(refusal), **refusal.details}

        socketio.on_event(name, on_event)

    return register


def _object(data: Any) -> Data:
    if not isinstance(data, dict):
        raise Refused("The request is not an object.")
    return data


@socketio.on("connect")
def connect() -> None:
    """Take the name from the session of the page that opened the connection."""
    try:
        person = chat().claim(session.get("name"), session.get("token", ""))
    except Refused as refusal:
        raise ConnectionRefusedError(str(refusal), {"code": "name"}) from None
    chat().arrive(own_sid(), person)
    join_room(person.channel)


@socketio.on("disconnect")
def disconnect() -> None:
    """Tell the room that somebody has left it."""
    _room_changed(chat().depart(own_sid()))


@answered("join")
def join(person: Person, data: Data) -> Data:
    """Enter a room, leaving the one before; also the first request of every connection."""
    left, room = chat().enter(own_sid(), data.get("to"), data.get("title"))
    if left is not None:
        leave_room(left.channel)
        _room_changed(left)
    join_room(room.channel)
    _room_changed(room)
    return {
        "me": person.name,
        "address": room.address(person),
        "title": room.title,
        "people": room.people(),
        "rooms": chat().rooms(),
        "privates": chat().privates(person),
        "history": chat().history(person, room),
    }


@answered("open")
def open_private(person: Person, data: Data) -> Data:
    """Fetch a private chat."""
    conversation = chat().find(person, data.get("to"))
    if not conversation.members:
        raise Refused("That is a room: join it.")
    return {
        "address": conversation.address(person),
        "history": chat().history(person, conversation),
    }


@answered("say")
def say(person: Person, data: Data) -> Data:
    """Post a text; a copy of an earlier one (a resend) is acknowledged but not shown again."""
    text, cid = limits.text_of(data.get("text")), limits.client_id_of(data.get("cid"))
    message, is_new = chat().post(person, data.get("to"), cid, text)
    if is_new:
        _deliver(message)
    return {"id": message.id, "at": message.at_ms}


@answered("picture")
def send_picture(person: Person, data: Data) -> Data:
    """Post a picture: its bytes go out as a binary attachment to all who are here."""
    content, kind = limits.picture_of(data.get("picture"))
    cid = limits.client_id_of(data.get("cid"))
    message, is_new = chat().post(person, data.get("to"), cid, "", content, kind)
    if is_new:
        _deliver(message, content)
    return {"id": message.id, "at": message.at_ms}


@answered("typing")
def typing(person: Person, data: Data) -> None:
    """Pass on that somebody writes, or no longer does."""
    conversation = chat().find(person, data.get("to"))
    note = {"name": person.name, "on": data.get("on") is True}
    if conversation.members:
        other = chat().named(conversation.address(person)[1:])
        if other is not None:
            emit("typing", {"in": conversation.address(other), **note}, to=other.channel)
    elif own_sid() in conversation.here:
        note["in"] = conversation.address(person)
        emit("typing", note, to=conversation.channel, include_self=False)


@answered("got")
def got(person: Person, data: Data) -> None:
    """Tell the author that a message has arrived here."""
    message = chat().got(person, data.get("id"))
    if message is not None:
        receipt = {
            "in": message.conversation.address(message.author),
            "id": message.id,
            "cid": message.client_id,
            "got": len(message.got),
        }
        emit("delivered", receipt, to=message.author.channel)


def _deliver(message: Message, picture: bytes = b"") -> None:
    """Send a message to everybody but the tab it came from."""
    conversation, author = message.conversation, message.author
    extra: Data = {"picture": picture} if picture else {}
    if conversation.members:
        other = chat().named(conversation.address(author)[1:])
        if other is not None:
            emit("message", message.shown_to(other) | extra, to=other.channel)
        emit("message", message.shown_to(author) | extra, to=author.channel, include_self=False)
        return
    emit(
        "message",
        message.shown_to(author) | extra,
        to=conversation.channel,
        include_self=False,
    )
    activity = {"in": conversation.address(author), "from": author.name}
    emit("activity", activity, broadcast=True, include_self=False)


def _room_changed(room: Conversation | None) -> None:
    """Tell a room who is in it, and everybody how many are where."""
    if room is None:
        return
    people = {"in": f"#{room.slug}", "people": room.people()}
    emit("people", people, to=room.channel)
    emit("rooms", chat().rooms(), broadcast=True)
