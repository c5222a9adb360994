"""Handlers of a Flask application that run once for each id of a client's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from flask import request

from flask_sio import Namespace, SocketBlueprint, emit, idempotent
from tests.flask.site import Site


@dataclass
class Order:
    own_id: str
    item: str


def test_a_retry_over_another_connection(site: Site) -> None:
    """Handled once, and answered with the same; what it emitted is not repeated."""
    seen: list[Any] = []

    @site.socketio.on("order")
    @idempotent(key="own_id")
    def order(item: str, own_id: str) -> tuple[str, int]:
        seen.append(request.event["args"])  # type: ignore[attr-defined]
        emit("taken", item)
        return item, len(seen)

    first, _ = site.joined()
    again, _ = site.joined()
    assert first.ask("order", "tea", "a") == ["tea", 1]
    assert again.ask("order", "tea", "a") == ["tea", 1]
    assert again.ask("order", "tea", "b") == ["tea", 2]
    assert seen == [("tea", "a"), ("tea", "b")]
    assert [site.heard(each) for each in (first, again)] == [[["taken", "tea"]]] * 2


def test_a_user_has_ids_of_his_own(site: Site) -> None:
    """Who was identified gets nobody else's answers, and his own on another client."""
    seen: list[str] = []
    site.socketio.identify(lambda auth: auth["user"])

    @site.socketio.on("order")
    @idempotent(key="own_id")
    def order(own_id: str) -> int:
        seen.append(own_id)
        return len(seen)

    def ask(user: str) -> Any:
        client = site.client()
        client.connect("/", auth={"user": user})
        return client.ask("order", "a")

    assert [ask(user) for user in ("ann", "bob", "ann")] == [[1], [2], [1]]


def test_models_methods_blueprints_and_the_server_itself(site: Site) -> None:
    """The key function gets what the handler gets, checked and converted."""
    seen: list[str] = []
    key = idempotent(key=lambda order: order.own_id)
    blueprint = SocketBlueprint("shop")

    @blueprint.on("order")
    @key
    def order(order: Order) -> str:
        seen.append(order.item)
        return order.item

    class Shop(Namespace):
        @idempotent(key=lambda self, order: order.own_id)
        def on_order(self, order: Order) -> str:
            seen.append(f"{self.namespace} {order.item}")
            return order.item

    @site.socketio.server.on("order", namespace="/plain")
    @idempotent(key="own_id")
    def plain(sid: str, own_id: str) -> str:
        seen.append(own_id)
        return own_id

    site.socketio.register_blueprint(blueprint)
    site.socketio.on_namespace(Shop("/shop"))
    client, _ = site.joined()
    for namespace in ("/shop", "/plain"):
        client.connect(namespace)
    for _ in range(2):
        data = {"own_id": "a", "item": "tea"}
        assert client.ask("order", data) == ["tea"]
        assert client.ask("order", data, namespace="/shop") == ["tea"]
        assert client.ask("order", "b", namespace="/plain") == ["b"]
    assert seen == ["tea", "/shop tea", "b"]


def test_an_error_handlers_answer_is_not_kept(site: Site) -> None:
    """What failed is run again by a retry."""
    seen: list[str] = []

    @site.socketio.on("order")
    @idempotent(key="own_id")
    def order(own_id: str) -> str:
        seen.append(own_id)
        if len(seen) == 1:
            raise OSError("away")
        return "done"

    site.socketio.errorhandler(OSError)(lambda error: f"sorry: {error}")
    client, _ = site.joined()
    assert [client.ask("order", "a") for _ in range(3)] == [["sorry: away"], ["done"], ["done"]]
    assert seen == ["a", "a"]


@pytest.mark.parametrize("per_client", [False, True])
def test_within_an_async_method_that_handles_every_event(site: Site, per_client: bool) -> None:
    """Where the handler runs in another thread, the client is still known."""

    class Orders(Namespace):
        def __init__(self, namespace: str) -> None:
            super().__init__(namespace)
            self.seen: list[str] = []

        async def trigger_event(self, event: str, *args: Any) -> Any:
            return super().trigger_event(event, *args)

        @idempotent(key="own_id")
        def on_order(self, own_id: str) -> int:
            self.seen.append(own_id)
            return len(self.seen)

    kind = type("Each", (Orders,), {"per_client": True}) if per_client else Orders
    site.socketio.on_namespace(kind("/orders"))
    client = site.client()
    client.connect("/orders")

    assert [client.ask("order", each, namespace="/orders") for each in "aab"] == [[1], [1], [2]]
