from flask_sio import ConnectionRefusedError, Server, WSGIApp

USERS_BY_TOKEN = {"secret-1": "ann", "secret-2": "bob"}

server = Server()
application = WSGIApp(server)


@server.on("connect")
def connect(sid, environ, auth):
    user = USERS_BY_TOKEN.get((auth or {}).get("token"))
    if user is None:
        raise ConnectionRefusedError("unknown token")
    server.users.claim(server.socket(sid), user)


@server.on("whisper")
def whisper(sid, user, text):
    server.emit("whispered", text, user=user)
    return len(server.users.sids(user))  # the tabs that it went to


def log_out(user):
    server.users.disconnect(user)
