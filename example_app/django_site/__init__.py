"""A small Django site with a chat on its page: flask_sio without Flask."""
