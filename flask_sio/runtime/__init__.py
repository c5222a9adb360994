"""The only code that knows threads from greenlets.

`loop.py` says what a loop is and picks one; `gevent.py` and `threads.py` are the two loops,
`greenlet_pool.py` and `thread_pool.py` their workers; `stream.py` is a non-blocking socket
on either; `takeover.py` takes a socket from the WSGI server that accepted it; `serve.py`
starts servers. Nothing here knows of Engine.IO, Socket.IO, Flask or Django. Read `loop.py`
first.
"""
