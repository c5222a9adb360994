from django.contrib.auth import get_user_model
from django.test import Client, TransactionTestCase
from flask_sio.mounts.django import server
from flask_sio.testing import TestClient


class ChatTest(TransactionTestCase):
    def test_a_message_has_the_name_of_its_user(self):
        http = Client()
        http.force_login(get_user_model().objects.create_user("alice"))
        cookie = http.cookies.output(header="", sep=";", attrs=[])

        with TestClient(server, headers={"Cookie": cookie}) as alice:
            alice.emit("chat", "hello")
            assert alice.get_received()[0]["args"] == ["alice", "hello"]
