"""Messages and replies as bytes, for a bus between processes.

Layout, numbers big-endian: ``u8`` version; ``u32`` size and bytes of the head, a JSON array;
``u32`` size and bytes of the text; then each attachment, ``u32`` size and bytes. The text of
an emit is the one that goes to clients, so it is neither escaped nor read on the way. No
pickle: what comes in are values of these two types, or a `ProtocolError`.

Replies and server events carry what clients have sent, also objects that look like Socket.IO's
placeholders. So where attachments go is marked by `pack` in a way that no data can forge.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from struct import Struct
from typing import Any

from flask_sio.adapters.adapter import BroadcastOptions, SocketRecord
from flask_sio.adapters.bus import KINDS, REPLIES, Message, Reply
from flask_sio.adapters.rooms import Room, UserRoom
from flask_sio.errors import ProtocolError
from flask_sio.protocol.json_codec import Codec, Default, JsonCodec, to_json
from flask_sio.protocol.sio import Body

__all__ = ["decode", "encode", "pack", "unpack"]

VERSION = 1
_SIZE = Struct("!I")
_JSON = JsonCodec()
_MARK = "_placeholder"
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)


def encode(value: Message | Reply) -> bytes:
    """Return the bytes of a message or reply.

    Raises:
        TypeError: a room, a key or data that cannot leave this process.
    """
    if isinstance(value, Message):
        body = value.body
        head = [
            "message",
            value.kind,
            value.namespace,
            _options(value.options),
            body is not None,
            [_room(room) for room in value.rooms],
            value.close,
            value.sender,
            value.request,
            value.after_flush,
        ]
        return _join(head, body or ("", ()))
    head = ["reply", value.request, value.sender, value.kind, list(value.ids)]
    return _join(head, pack([_result(value.value)]))


def decode(data: bytes) -> Message | Reply:
    """Return the message or reply of these bytes.

    A reply whose value cannot be read is one of kind ``"unable"``.

    Raises:
        ProtocolError: they are none.
    """
    try:
        head, body = _split(data)
        return _message(head, body) if head[0] == "message" else _reply(head, body)
    except _UNREADABLE as error:
        raise ProtocolError(f"no message of a bus: {type(error).__name__}") from error


# -- bytes ------------------------------------------------------------------------------


def _join(head: list[Any], body: Body) -> bytes:
    text, attachments = body
    parts = [_JSON.dumps(head).encode(), text.encode("utf-8", "surrogatepass"), *attachments]
    joined = [bytes([VERSION])]
    for part in parts:
        joined += (_SIZE.pack(len(part)), part)
    return b"".join(joined)


def _split(data: bytes) -> tuple[list[Any], Body]:
    if data[:1] != bytes([VERSION]):
        raise ValueError("another version")
    parts, position = [], 1
    while position < len(data):
        if position + 4 > len(data):
            raise ValueError("cut off")
        (size,) = _SIZE.unpack_from(data, position)
        position += 4
        if position + size > len(data):
            raise ValueError("cut off")
        parts.append(data[position : position + size])
        position += size
    head = _JSON.loads(parts[0].decode(), 0)
    return head, (parts[1].decode("utf-8", "surrogatepass"), tuple(parts[2:]))


# -- data with bytes --------------------------------------------------------------------


def pack(value: Any, codec: Codec = _JSON) -> Body:
    """Write a value with a mark for each bytes-like; return the text and the bytes.

    The mark is Socket.IO's placeholder. Data that has its key goes into an object of its own,
    so that only what was bytes is ever filled in; see `unpack`.

    Raises:
        TypeError: what is no JSON, a loop or too deep a nesting.
    """
    body = codec.pack(value)
    if not body[1]:
        return body
    attachments: list[bytes] = []
    convert = to_json if isinstance(codec, JsonCodec) else None
    try:
        marked = _marked(value, attachments, convert)
    except RecursionError:
        raise TypeError("data too deep for JSON") from None
    return codec.dumps(marked), tuple(attachments)


def _marked(value: Any, attachments: list[bytes], convert: Default | None) -> Any:
    if isinstance(value, dict):
        copy = {key: _marked(each, attachments, convert) for key, each in value.items()}
        return {_MARK: False, "object": copy} if _MARK in copy else copy
    if isinstance(value, (list, tuple)):
        return [_marked(each, attachments, convert) for each in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        attachments.append(bytes(value))
        return {_MARK: True, "num": len(attachments) - 1}
    if convert is None or value is None or isinstance(value, (str, int, float)):
        return value
    return _marked(convert(value), attachments, convert)


def unpack(body: Body, codec: Codec = _JSON) -> Any:
    """Return the value that `pack` has written.

    Raises:
        ValueError: it has not; or another of ``_UNREADABLE``.
    """
    text, attachments = body
    value = codec.loads(text, 0)
    return _filled(value, attachments) if attachments else value


def _filled(value: Any, attachments: Sequence[bytes]) -> Any:
    if isinstance(value, list):
        return [_filled(each, attachments) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get(_MARK) is True:
        number = value["num"]
        _need(type(number) is int and number >= 0)
        return attachments[number]
    inner = value["object"] if _MARK in value else value
    return {key: _filled(each, attachments) for key, each in inner.items()}


# -- messages ---------------------------------------------------------------------------


def _options(options: BroadcastOptions) -> list[Any]:
    rooms = None if options.rooms is None else [_room(room) for room in options.rooms]
    skip = [_room(room) for room in options.skip]
    return [rooms, skip, options.volatile, options.compress, _room(options.coalesce)]


def _message(head: Sequence[Any], body: Body) -> Message:
    _, kind, namespace, options, has_body, rooms, close, sender, request, after_flush = head
    to, skip, volatile, compress, coalesce = options
    _need(kind in KINDS and isinstance(namespace, str) and isinstance(sender, str))
    _need(request is None or type(request) is int)
    return Message(
        kind=kind,
        namespace=namespace,
        options=BroadcastOptions(
            None if to is None else _rooms(to),
            _rooms(skip),
            volatile=bool(volatile),
            compress=bool(compress),
            coalesce=_read_room(coalesce),
        ),
        body=body if has_body else None,
        rooms=_rooms(rooms),
        close=bool(close),
        sender=sender,
        request=request,
        after_flush=bool(after_flush),
    )


def _reply(head: Sequence[Any], body: Body) -> Reply:
    _, request, sender, kind, ids = head
    _need(kind in REPLIES and isinstance(sender, str) and type(request) is int)
    _need(isinstance(ids, list) and all(isinstance(each, str) for each in ids))
    try:
        value = _read_result(unpack(body)[0])
    except _UNREADABLE:  # whoever waits for it must not wait in vain
        return Reply(request, sender, "unable", tuple(ids) if kind == "answer" else ())
    return Reply(request, sender, kind, tuple(ids), value)


def _need(holds: bool) -> None:
    if not holds:
        raise ValueError("a field of another type")


# -- rooms: JSON for text and numbers, an array with a tag for the rest ---------------------


def _room(room: Hashable) -> Any:
    if room is None or isinstance(room, (str, int, float)):
        return room
    if isinstance(room, UserRoom):
        return ["user", room.user]
    if isinstance(room, tuple):
        return ["tuple", [_room(each) for each in room]]
    raise TypeError(
        f"rooms of several servers are text, numbers, or tuples of these, not {type(room).__name__}"
    )


def _read_room(value: Any) -> Room:
    if not isinstance(value, list):
        _need(value is None or isinstance(value, (str, int, float)))
        return value  # type: ignore[no-any-return] # checked above
    tag, content = value
    if tag == "user":
        _need(isinstance(content, str))
        return UserRoom(content)
    _need(tag == "tuple")
    return _rooms(content)


def _rooms(values: Iterable[Any]) -> tuple[Room, ...]:
    return tuple(_read_room(value) for value in values)


# -- results: JSON as it is, the rest in an object with one tag ------------------------------


def _result(value: Any) -> Any:
    if isinstance(value, dict):  # sizes of rooms
        return {"sizes": [[_room(room), size] for room, size in value.items()]}
    if isinstance(value, list) and value and isinstance(value[0], SocketRecord):
        return {"sockets": [_record(each) for each in value]}
    return {"value": value}


def _read_result(value: dict[str, Any]) -> Any:
    if "sizes" in value:
        return {_read_room(room): int(size) for room, size in value["sizes"]}
    if "sockets" in value:
        return [
            SocketRecord(each["id"], _rooms(each["rooms"]), each["handshake"], each["data"])
            for each in value["sockets"]
        ]
    return value["value"]


def _record(record: SocketRecord) -> dict[str, Any]:
    rooms = [_room(room) for room in record.rooms]
    return {"id": record.id, "rooms": rooms, "handshake": record.handshake, "data": record.data}
