"""The Flask application: the sign-in form, the page, and pictures that were sent earlier."""

from __future__ import annotations

import argparse
import os
import secrets
from contextlib import suppress
from pathlib import Path

from flask import Flask, Response, abort, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as BaseResponse

from flask_sio import disconnect

from . import limits
from .chat import Chat
from .events import chat, socketio
from .limits import Refused

HERE = Path(__file__).parent

# Nothing is loaded from elsewhere but the client script, and that only without a bundle.
POLICY = (
    "default-src 'none'; script-src 'self' https://cdn.socket.io; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


def create_app() -> Flask:
    """Return the application, with an empty house."""
    app = Flask("example_app", instance_path=str(HERE / "instance"))
    app.config.update(
        SECRET_KEY=os.environ.get("PARLOUR_SECRET_KEY") or _kept_secret(Path(app.instance_path)),
        SESSION_COOKIE_NAME="parlour",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=16_384,
    )
    app.extensions["parlour"] = Chat()
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/join", view_func=join, methods=["POST"])
    app.add_url_rule("/leave", view_func=leave, methods=["POST"])
    app.add_url_rule("/picture/<id>", view_func=picture)
    app.after_request(_harden)
    socketio.init_app(app, client_dir=os.environ.get("SOCKETIO_CLIENT_DIR") or None)
    return app


def _kept_secret(directory: Path) -> str:
    """Return a key that outlives a restart, so that people stay signed in."""
    file, fresh = directory / "secret_key", secrets.token_hex(32)
    draft = directory / f"secret_key.{os.getpid()}"
    try:
        directory.mkdir(exist_ok=True)
        if not file.exists():
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT, 0o600), "w") as new:
                new.write(fresh)
            with suppress(FileExistsError):  # another process was first: take its key
                os.link(draft, file)
            draft.unlink()
        return file.read_text()
    except OSError:  # a read-only installation: people sign in again after a restart
        return fresh


def index() -> str | tuple[str, int]:
    """Show the chat to those who have a name, the form to others."""
    name = session.get("name")
    if name is None:
        return render_template("join.html", limits=limits)
    try:
        person = chat().claim(name, session["token"])
    except Refused as refusal:  # somebody else took the name in the meantime
        session.clear()
        return render_template("join.html", limits=limits, name=name, error=refusal), 409
    return render_template("chat.html", limits=limits, me=person.name)


def join() -> BaseResponse | tuple[str, int]:
    """Take a name, and give back the one this browser may have had."""
    name = request.form.get("name", "")
    if name.strip() == session.get("name"):  # the form sent twice
        return redirect(url_for("index"), code=303)
    token = secrets.token_hex(16)
    try:
        person = chat().claim(name, token)
    except Refused as refusal:
        taken = render_template("join.html", limits=limits, name=name[:100], error=refusal)
        return taken, 409
    _sign_out()
    session.update(name=person.name, token=token)
    return redirect(url_for("index"), code=303)


def leave() -> BaseResponse:
    """Give the name back and close the tabs that are open under it."""
    _sign_out()
    return redirect(url_for("index"), code=303)


def _sign_out() -> None:
    if "name" in session:
        for sid in chat().release(session["name"], session["token"]):
            disconnect(sid, namespace="/")
    session.clear()


def picture(id: str) -> Response:
    """Send a picture of a conversation that this person may read."""
    person = chat().named(session.get("name", ""))
    if person is None or not secrets.compare_digest(person.token, session["token"]):
        abort(404)
    found = chat().picture(person, id)
    if found is None:
        abort(404)
    content, kind = found
    response = Response(content, mimetype=kind)
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


def _harden(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response


def main() -> None:
    """Run the chat: ``python -m example_app [--host HOST] [--port PORT]``."""
    parser = argparse.ArgumentParser(prog="python -m example_app", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    options = parser.parse_args()
    app = create_app()
    print(f"Parlour is open at http://{options.host}:{options.port}/", flush=True)
    socketio.run(app, host=options.host, port=options.port)


if __name__ == "__main__":
    main()
