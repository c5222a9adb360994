"""Flask-SocketIO's name for the module of its test client."""

from flask_sio.testing import SocketIOTestClient as SocketIOTestClient
