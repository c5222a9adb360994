"""Where the peers keep Namespace; see `flask_sio.server.class_namespace`."""

from flask_sio.server.class_namespace import Namespace as Namespace
