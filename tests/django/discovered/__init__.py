"""An app whose sockets.py is found."""
