import time

from flask import Flask, g, request, session
from flask_sio import SocketBlueprint, SocketIO, emit

admin = SocketBlueprint("admin", namespace="/admin")


class Forbidden(Exception):
    pass


@admin.before_event
def check():  # before each handler of this blueprint
    if not session.get("is_admin"):
        raise Forbidden


@admin.errorhandler(Forbidden)
def forbidden(error):
    return {"error": "forbidden"}  # the ack


@admin.on("announce")
def announce(text):
    emit("announcement", text, broadcast=True)
    return {"ok": True}


app = Flask(__name__)
app.secret_key = "change me"
socketio = SocketIO(app)
socketio.register_blueprint(admin)


@socketio.before_event  # before each handler of the application
def start():
    g.started = time.monotonic()


@socketio.teardown_event  # after each, whatever has happened
def end(error):
    seconds = time.monotonic() - g.started
    app.logger.info("%s: %.3f s, %r", request.event["message"], seconds, error)
