"""Signals, as Flask has them: ``client_connected.connect(function, app)``.

The sender is the application. Receivers are called where the thing happens, in its context,
and the others wait for them; what one raises counts as raised by the handler. A signal
without receivers costs nothing.
"""

from __future__ import annotations

from blinker import Namespace

__all__ = ["client_connected", "client_disconnected", "event_emitted", "event_received"]

_signals = Namespace()

client_connected = _signals.signal("client-connected")
"""A client was accepted in a namespace: ``sid``, ``namespace``."""

client_disconnected = _signals.signal("client-disconnected")
"""A client has left a namespace, once its handlers have run: ``sid``, ``namespace``, ``reason``."""

event_received = _signals.signal("event-received")
"""A handler is about to run: ``event``, ``args``, ``sid``, ``namespace``."""

event_emitted = _signals.signal("event-emitted")
"""An emit of the application's was handed on: ``event``, ``args``, ``namespace``; ``to``, None
or the rooms it went to; ``users``, the ids of those it went to; ``skip_sid``, whom it leaves out.
"""
