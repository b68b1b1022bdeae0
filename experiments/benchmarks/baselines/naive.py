"""The chain as classes hand it in: Flask's own server, a new `requests` connection for each call, stock in a variable.

It forgets everything at a restart, reserves twice when asked twice, and waits for ever when nobody answers.
"""

import logging
import os
import sys
import uuid

import requests
from flask import Flask, jsonify, request

stock = {"burger": 100_000}


def order_app() -> Flask:
    """Make the order service."""
    app = Flask("order")
    inventory, notification = os.environ["INVENTORY_PORT"], os.environ["NOTIFICATION_PORT"]

    @app.post("/order")
    def place():
        order = request.json | {"order_id": str(uuid.uuid4())}
        reply = requests.post(f"http://127.0.0.1:{inventory}/reserve", json=order)
        if reply.status_code != 200:
            return jsonify(error="inventory failed"), 502
        requests.post(f"http://127.0.0.1:{notification}/send", json=order)
        return jsonify(order), 201

    return app


def inventory_app() -> Flask:
    """Make the inventory service."""
    app = Flask("inventory")

    @app.post("/reserve")
    def reserve():
        for line in request.json["items"]:
            stock[line["sku"]] -= line["qty"]
        return jsonify(status="reserved")

    return app


def notification_app() -> Flask:
    """Make the notification service."""
    app = Flask("notification")

    @app.post("/send")
    def send():
        return jsonify(status="sent")

    return app


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    make = {"order": order_app, "inventory": inventory_app, "notification": notification_app}[sys.argv[1]]
    make().run(port=int(os.environ["PORT"]), threaded=True)
