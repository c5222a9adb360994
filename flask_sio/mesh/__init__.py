"""The workers of one host, linked: no registry, no broker, no sticky sessions.

Each worker listens on a Unix socket in a private directory (`directory.py`), named by the
six characters that its clients' ids begin with, and is connected to all others. Over these
links (`link.py`, `frames.py`) go requests whose session another worker owns (`remote.py`
asks, `owner.py` answers) and whatever the layer above sends its peers. Sockets travel
beside them (`passing.py`). `mesh.py` holds it all together: read it first.
"""
