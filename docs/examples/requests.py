from flask import Flask, request

from flask_sio import SocketIO

app = Flask(__name__)


def allow(environ):
    if "bot" in request.headers.get("User-Agent", ""):
        return "no bots, please"
    return True


socketio = SocketIO(app, allow_request=allow)


@socketio.on_connection_error
def refused(failure):
    app.logger.warning("refused: %s (%s)", failure.message, failure.context)


@socketio.on_initial_headers
def first_answer(headers, environ):
    headers["X-Served-By"] = "web-1"


@socketio.on_headers
def every_answer(headers, environ):
    headers["Referrer-Policy"] = "no-referrer"
