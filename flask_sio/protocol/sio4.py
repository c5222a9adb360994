"""Socket.IO packets, revision 4 (on Engine.IO 3): what differs from revision 5.

- A CONNECT may have a query, ``0/admin?token=1,``; there is no auth object.
- Its answer has no data, and a refusal (there ERROR) has any.
- A binary packet may have no attachment: a 2.x client told to send binary does so.
- The first of the 1.0 clients write each ACK like a binary one, ``30-12[]``.

Source: Socket.IO v4, *Packet encoding*, and what socket.io-client 1.x and 2.x send.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from flask_sio.protocol.sio import Decoder

__all__ = ["Decoder4", "error_data", "read_name"]


class Decoder4(Decoder):
    """Put the packets of one connection of this revision together; see `Decoder`."""

    __slots__ = ()

    _pattern = re.compile(
        r"(?:([0-24]|3(?![0-9]+-))|([356])([0-9]+)-)"  # type | binary type and count
        r"(?:(/[^,\x00-\x1f\x7f-\x9f\u2028\u2029]*),?)?"  # namespace and query
        r"([0-9]*)"  # id
    )
    _least_attachments = 0


def read_name(name: str) -> tuple[str, dict[str, str] | None]:
    """Return the namespace that a CONNECT asks for, and its query, or None without one."""
    namespace, mark, query = name.partition("?")
    return namespace, dict(parse_qsl(query, keep_blank_values=True)) if mark else None


def error_data(refusal: dict[str, Any]) -> Any:
    """Return the data of an ERROR for those of a CONNECT_ERROR: its data, or else its text."""
    data = refusal.get("data")
    return refusal["message"] if data is None else data
