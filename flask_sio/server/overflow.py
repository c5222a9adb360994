"""What happens to an event that is one too many: by ``mailbox_overflow`` or ``rate_overflow``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from flask_sio.server.client import Client
    from flask_sio.server.socket import Socket

__all__ = ["mailbox_is_full", "too_fast"]

Policy = Literal["close", "error_ack", "drop"]


def mailbox_is_full(client: Client, socket: Socket, ack_id: int | None) -> None:
    """Do what ``mailbox_overflow`` says. Owner's turn."""
    options = client.server.options
    client.server.engine.warn_once(
        "a client sends faster than its handlers take it: over max_mailbox_events=%d or "
        "max_mailbox_bytes=%d the policy is mailbox_overflow=%r (said once)",
        options.max_mailbox_events,
        options.max_mailbox_bytes,
        options.mailbox_overflow,
    )
    what = "more events than its handlers take"
    _refuse(client, socket, ack_id, options.mailbox_overflow, what)


def too_fast(client: Client, socket: Socket, ack_id: int | None) -> None:
    """Do what ``rate_overflow`` says. Owner's turn."""
    options = client.server.options
    client.server.engine.warn_once(
        "a client sends more than max_events_per_s=%r: the policy is rate_overflow=%r (said once)",
        options.max_events_per_s,
        options.rate_overflow,
    )
    _refuse(client, socket, ack_id, options.rate_overflow, "more events than max_events_per_s")


def _refuse(client: Client, socket: Socket, ack_id: int | None, policy: Policy, what: str) -> None:
    if policy == "close":
        client.connection.close("forced server close", what)
    elif policy == "error_ack" and ack_id is not None:
        client.acknowledge(socket, ack_id, {"error": "too many events"})
