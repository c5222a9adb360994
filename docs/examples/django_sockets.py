from flask_sio.mounts.django import login_required, request, server


@server.on("connect")
@login_required
def connect(sid, environ):
    server.enter_room(sid, f"user {request.user.pk}")


@server.on("chat")
@login_required  # a logout counts from the next event on
def chat(sid, text):
    server.emit("chat", (request.user.get_username(), text))
