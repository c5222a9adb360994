"""Every bound of the chat, and the checks of what a client sends.

Nothing here trusts its argument: each check takes whatever JSON a client may have sent
and returns a clean value or raises ``Refused`` with a sentence for that person.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

NAME_CHARS = 24
TEXT_CHARS = 2000
HISTORY = 100
PEOPLE = 500
ROOMS = 24
PRIVATE_CHATS = 500
PICTURES = 40
# Over polling a picture travels as base64, a third larger; together with its packet it
# has to fit into max_http_buffer_size, which is 1,000,000 bytes.
PICTURE_BYTES = 700_000
BURST = 12
PER_SECOND = 2.0
NAME_KEPT_S = 120.0
REMEMBERED = 4000

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_CLIENT_ID = re.compile(r"[A-Za-z0-9-]{8,40}")


class Refused(Exception):
    """A request that is answered ``{"ok": false, "error": str(self), **self.details}``."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


def name_of(value: Any, what: str = "name") -> str:
    """Return a name people can tell apart: letters, digits, space and ``. _ - '``."""
    if not isinstance(value, str) or len(value) > 200:
        raise Refused(f"That is not a {what}.")
    name = " ".join(unicodedata.normalize("NFKC", value).split())
    if not name:
        raise Refused(f"Please enter a {what}.")
    if len(name) > NAME_CHARS:
        raise Refused(f"A {what} has at most {NAME_CHARS} characters.")
    if not all(char in " ._-'" or unicodedata.category(char)[0] in "LMN" for char in name):
        raise Refused(f"A {what} has letters, digits, spaces and . _ - ' only.")
    if not any(char.isalnum() for char in name):
        raise Refused(f"A {what} needs a letter or a digit.")
    return name


def key_of(name: str) -> str:
    """Return what makes two names the same one."""
    return unicodedata.normalize("NFKC", name).casefold()


def text_of(value: Any) -> str:
    """Return a message's text without surrounding blanks and control characters."""
    if not isinstance(value, str):
        raise Refused("A message is a text.")
    if len(value) > 2 * TEXT_CHARS:
        raise Refused(f"A message has at most {TEXT_CHARS} characters.")
    kept = (char for char in value if char == "\n" or unicodedata.category(char) not in _UNWANTED)
    text = "".join(kept).strip()
    if not text:
        raise Refused("The message is empty.")
    if len(text) > TEXT_CHARS:
        raise Refused(f"A message has at most {TEXT_CHARS} characters.")
    return text


_UNWANTED = ("Cc", "Cs")  # control characters, and halves of surrogate pairs


def picture_of(value: Any) -> tuple[bytes, str]:
    """Return ``(content, media type)``; the type is what the bytes say, not the client."""
    if not isinstance(value, (bytes, bytearray)):
        raise Refused("That is not a picture.")
    content = bytes(value)
    if len(content) > PICTURE_BYTES:
        size = f"{len(content) / 1000:,.0f} kB"
        raise Refused(f"The picture is too large: {size}, the limit is {PICTURE_BYTES // 1000} kB.")
    for signature, kind in _SIGNATURES:
        if content.startswith(signature):
            return content, kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return content, "image/webp"
    raise Refused("Pictures are PNG, JPEG, GIF or WebP files.")


def client_id_of(value: Any) -> str:
    """Return the id a client gave its message, by which a second copy is recognised."""
    if not isinstance(value, str) or not _CLIENT_ID.fullmatch(value):
        raise Refused("The message has no usable id.")
    return value
