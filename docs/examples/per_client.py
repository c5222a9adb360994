from flask import Flask
from flask_sio import Namespace, SocketIO, emit

app = Flask(__name__)
socketio = SocketIO(app)


class Game(Namespace):
    per_client = True

    def __init__(self, namespace, secret):
        super().__init__(namespace)
        self.secret = secret
        self.guesses = []

    def on_guess(self, number):
        self.guesses.append(number)
        answer = "yes" if number == self.secret else "more" if number < self.secret else "less"
        emit("answer", (answer, len(self.guesses)))

    def on_disconnect(self):
        app.logger.info("guessed %s", self.guesses)


socketio.on_namespace(Game("/game", 10))
