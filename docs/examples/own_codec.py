import ast

from flask_sio import Server
from flask_sio.protocol.sio import Packet


class Literals:
    """Packets as Python literals, for clients that are Python too."""

    def render(self, packet):
        return repr(packet.data)  # where emit() is called: what this raises, emit() raises

    def compose(self, packet, body):
        return f"{packet.type} {packet.namespace} {packet.id} {body}"  # text, bytes, or a list

    def decoder(self, max_attachments, max_bytes):
        return LiteralsDecoder()  # one for each connection


class LiteralsDecoder:
    def feed(self, message):  # what this raises ends the connection
        kind, namespace, number, body = message.split(" ", 3)
        return Packet(int(kind), namespace, ast.literal_eval(body), ast.literal_eval(number))


server = Server(serializer=Literals)


@server.on("echo")
def echo(sid, *args):
    return args
