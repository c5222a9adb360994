"""An app whose sockets.py is there and cannot be imported."""
