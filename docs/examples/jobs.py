import re

from flask import Flask, request

from flask_sio import SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)
progress = {1: 40, 2: 0}


@socketio.on("connect", namespace="/job/<int:number>")
def watch(number):
    return number in progress  # False refuses the client


@socketio.on("advance", namespace="/job/<int:number>")
def advance(number, percent):
    progress[number] += percent
    emit("progress", progress[number], broadcast=True)


@socketio.on("say", namespace=re.compile(r"/room-(?P<name>[a-z]+)"))
def say(text, name):
    emit("said", f"{text} ({name})", broadcast=True)


def is_team(name, auth):
    return name in (auth or {}).get("teams", ())


@socketio.on("where", namespace=is_team)
def where():
    return request.namespace


@socketio.on_namespace_created
def created(name):
    app.logger.info("somebody is in %s", name)
