from flask import Flask
from flask_sio import SocketIO, TimeoutError, current_socket

app = Flask(__name__)
socketio = SocketIO(app)
positions = {}


@socketio.event
def join(room):
    current_socket.join(room)
    current_socket.data["room"] = room
    current_socket.to(room).emit("joined", current_socket.id)


@socketio.event
def move(x, y):
    room = current_socket.data["room"]
    # Of a client that is slow only the latest position matters.
    others = current_socket.to(room).coalesce(current_socket.id)
    others.emit("moved", current_socket.id, x, y)


@socketio.event
def vote(room):
    voters = socketio.of("/").to(room).timeout(2)
    try:
        votes = voters.call("question", "Continue?")  # {id: answer}
    except TimeoutError as error:
        votes = error.answers  # those that came in time
    return sum(votes.values()), len(votes)


@socketio.event
def empty(room):
    room = socketio.of("/").to(room)
    found = room.fetch_sockets()
    room.sockets_leave("news")
    room.disconnect_sockets()
    return [socket.data["room"] for socket in found]


@socketio.on_room_event("delete")
def room_is_empty(namespace, room):
    positions.pop(room, None)


if __name__ == "__main__":
    socketio.run(app)
