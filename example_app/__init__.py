"""Parlour, a chat: the example application of flask_sio."""
