from flask import Flask
from flask_sio import SocketIO, after_commit, emit
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
db = SQLAlchemy(app)
socketio = SocketIO(app)


class Order(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    item = db.Column(db.String, nullable=False)


with app.app_context():
    db.create_all()


def place(item):
    order = Order(item=item)
    db.session.add(order)
    db.session.flush()  # which gives it its id
    after_commit(db.session)(socketio.emit, "ordered", order.id, item)


@app.post("/orders/<item>")
def order(item):
    place(item)
    db.session.commit()  # now clients are told
    return "", 201


@socketio.on("order")
def order_all(items):
    for item in items:
        place(item)  # if one fails, none is ordered and nobody is told
        after_commit(db.session)(emit, "thanks", item)
    db.session.commit()
