from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from flask_sio.mounts.django import server


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def user_was_saved(sender, instance, **kwargs):
    tell = partial(server.emit, "user_saved", instance.get_username())
    transaction.on_commit(tell, robust=True)
