"""A database to try the site with; a real project migrates by hand."""

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections

USERS = ("alice", "bob")


def prepare() -> None:
    """Bring the database up to date and see that the users of the demonstration are there."""
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    for name in USERS:
        if not users.filter(username=name).exists():
            users.create_user(name, password=name)
    connections.close_all()
