from flask_sio import Server, WSGIApp

server = Server()


@server.on("connect")
def connect(sid, environ, auth):
    print(sid, "came from", environ.get("REMOTE_ADDR"))


@server.on("chat")
def chat(sid, text):
    server.emit("chat", text, skip_sid=sid)


def page(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]


application = WSGIApp(server, page)

if __name__ == "__main__":
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", 8000), application).serve_forever()
