from flask_sio import ConnectionRefusedError, Namespace, Server, WSGIApp

server = Server(cors_allowed_origins=["https://app.example.org"], ping_interval=20)


@server.on("connect")
def connect(sid, environ, auth):  # or (sid, environ)
    if not auth:
        raise ConnectionRefusedError("who are you?")
    with server.session(sid) as session:
        session["name"] = auth["name"]
    server.enter_room(sid, "lobby")


@server.event
def say(sid, text):
    name = server.get_session(sid)["name"]
    server.emit("said", (name, text), to="lobby", skip_sid=sid)
    return "delivered"


@server.on("disconnect")
def disconnect(sid, reason):  # or (sid)
    server.emit("left", server.get_session(sid)["name"], to="lobby")


class Admin(Namespace):  # methods take the id first: it is registered with a Server
    def on_kick(self, sid, whom):
        self.server.disconnect(whom)


server.register_namespace(Admin("/admin"))
application = WSGIApp(server)  # what is not Socket.IO is answered with 404
