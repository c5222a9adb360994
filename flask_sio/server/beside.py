"""Running what stands beside a handler: a listener, or another handler of the same event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from flask_sio.errors import PayloadError
from flask_sio.runtime.loop import TimeIsUp

if TYPE_CHECKING:
    from flask_sio.server.socket import Socket

__all__ = ["beside"]


def beside(
    socket: Socket,
    event: str,
    call: Callable[..., Any],
    args: Sequence[Any],
    kind: Literal["event", "hook"] = "hook",
) -> None:
    """Run a listener, or an added handler, whose failure is nobody else's. On a worker."""
    client = socket.client
    invoke, given = client.server.invoke, tuple(args)
    if kind == "hook":  # no run of a handler: those of around_event() do not see it
        invoke = client.server.convention.invoke
        called = partial(call, socket, event, given)
        call = lambda *_: called()  # noqa: E731
    try:
        client.context.copy().run(invoke, socket, event, call, given, kind)
    except PayloadError as error:
        if kind == "event":
            client.tell_invalid(socket, event, error)
    except TimeIsUp:
        pass  # answered when it was
    except Exception as error:  # noqa: BLE001 # user code
        if client.on_error is not None:
            client.on_error(error)
        else:
            client.server.convention.report(socket, event, error)
