"""Where the peers keep their exceptions; see `flask_sio.errors`."""

from flask_sio.errors import *  # noqa: F403
