from flask import Flask
from flask_sio import SocketIO, emit
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, scoped_session, sessionmaker

app = Flask(__name__)
socketio = SocketIO(app)
engine = create_engine("sqlite:///notes.db")
db = scoped_session(sessionmaker(engine))


class Base(DeclarativeBase):
    pass


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]


Base.metadata.create_all(engine)


@app.teardown_appcontext
def close(exception):  # after each request, and after each handler
    db.remove()


@socketio.on("add")
def add(text):
    db.add(Note(text=text))
    db.commit()
    emit("added", text, broadcast=True)


@socketio.on("list")
def notes():
    return db.scalars(select(Note.text).order_by(Note.id)).all()
