"""The chain as classes hand it in: Flask's own server, a new `requests` connection for each call, stock in a variable.

It forgets everything at a restart, reserves twice when asked twice, and waits for ever when a service does not answer.
"""

import logging
import os
import uuid

import requests
from campus import gunicorn_conf
from campus.orders import MENU
from flask import Flask, jsonify, request

app = Flask("naive")
stock = dict.fromkeys(MENU, 100_000_000)


@app.post("/order")
def order():
    """Call inventory, then notification, and answer."""
    order = request.json | {"order_id": str(uuid.uuid4())}
    reply = requests.post(f"{os.environ['INVENTORY_URL']}/reserve", json=order)
    if reply.status_code != 200:
        return jsonify(error="inventory failed"), 502
    requests.post(f"{os.environ['NOTIFICATION_URL']}/send", json=order)
    return jsonify(order), 201


@app.post("/reserve")
def reserve():
    """Take the items from the stock."""
    for line in request.json["items"]:
        stock[line["sku"]] -= line["qty"]
    return jsonify(status="reserved")


@app.post("/send")
def send():
    """Answer."""
    return jsonify(status="sent")


if __name__ == "__main__":
    gunicorn_conf.take_core()  # on the same core as the service's worker
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run(port=int(os.environ["PORT"]), threaded=True)
