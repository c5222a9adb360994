from flask import Flask
from flask_sio import DisconnectedError, SocketIO, TimeoutError, call, emit, join_room

app = Flask(__name__)
socketio = SocketIO(app)


@socketio.on("rename")
def rename(name):
    try:
        agreed = call("confirm", f"Call you {name}?", timeout=30)
    except TimeoutError:  # a builtin TimeoutError, too
        return "nobody answered"
    except DisconnectedError:  # at once, when the client leaves
        return None
    return "renamed" if agreed else "unchanged"


def counted(*votes):  # once for each client that answers
    emit("vote", votes)  # to the client that asked


@socketio.on("vote")
def vote(question):
    join_room("voters")
    emit("question", question, to="voters", callback=counted)


@app.get("/battery/<sid>")
def battery(sid):
    return {"percent": socketio.call("battery", to=sid, timeout=5)}
