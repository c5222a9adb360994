"""A small Django site with a chat for its users: flask_sio without Flask.

    python example_app/django_site/manage.py runserver
    gunicorn -k gevent example_app.django_site.wsgi:application

The first start makes an SQLite file in ``instance/`` here (or in ``DJANGO_DATA_DIR``) with
two users, ``alice`` and ``bob``, whose passwords are their names: log in as each of them in
two browsers. Who has not logged in sees the page, and is refused by the chat.

``sockets.py`` has the chat's events, ``settings.py`` the lines a project needs.
"""
