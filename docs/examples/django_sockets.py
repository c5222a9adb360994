from flask_sio.mounts.django import login_required, request, server


@server.on("connect")
@login_required
def connect(sid, environ):
    """Only users get in."""


@server.on("chat")
@login_required  # a logout counts from the next event on
def chat(sid, text):
    server.emit("chat", (request.user.get_username(), text))


@server.on("whisper")
@login_required
def whisper(sid, user_id, text):
    server.emit("whisper", (request.user.get_username(), text), user=user_id)
