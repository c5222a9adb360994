"""For WSGI servers: ``gunicorn -k gevent example_app.wsgi:app``.

One worker: rooms and history are in the memory of the process.
"""

from example_app.app import create_app

app = create_app()
