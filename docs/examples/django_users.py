from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from flask_sio.mounts.django import server


def order_was_shipped(order):
    server.emit("shipped", order.number, user=order.customer)


@receiver(user_logged_out)
def leave_everywhere(sender, user, **kwargs):
    if user is not None:
        server.users.disconnect(user)  # from all namespaces
