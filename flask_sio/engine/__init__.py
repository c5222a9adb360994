"""Engine.IO: connections over long polling and WebSocket, and their HTTP endpoint.

Here belongs what turns a WSGI request into a connection and moves packets on it: the
gate that refuses requests, plain HTTP answers, CORS, the affinity cookie, transports.
Nothing here knows Socket.IO, an event name or a web framework.
"""
