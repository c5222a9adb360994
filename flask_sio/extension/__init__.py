"""The Flask extension: `SocketIO`, and the functions that handlers call.

`socketio.py` is the one object users make; what it can do is in the files beside it:
`registration.py` (handlers, blueprints), `emitting.py`, `mounting.py` (applications),
`running.py` (``run()``), `hooks.py`. How a handler is called: `convention.py`, in the
contexts of `context.py`, with the session of `sessions.py`. `functions.py` has ``emit`` and
its friends. Everything here knows Flask and nothing else does. Read `socketio.py` first.
"""
