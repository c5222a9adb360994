from flask import Flask, request
from flask_sio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.on_error("/admin")
def admin_error(exception):
    return {"error": type(exception).__name__}


@socketio.on_error_default
def any_error(exception):
    app.logger.error("%s failed", request.event["message"], exc_info=exception)
    return {"error": "sorry"}  # the ack


@socketio.on("divide")
@socketio.on("divide", namespace="/admin")
def divide(a, b):
    return a / b


@socketio.on("connect", namespace="/broken")
def connect():
    return 1 / 0  # refused, whatever the error handler returns but True
