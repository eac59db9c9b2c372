"""The naive way, as a program of its own: a paho-mqtt subscriber that commits each message before the next one.

`DATABASE_URL=… python -m bench.sides.subscriber PORT`. The client library acknowledges a message when this program's
handler returns, so after the commit: what fails is sent again, as on our side. Each question is answered by the
number of messages committed.
"""

from __future__ import annotations

import os
import sys
from threading import Event
from typing import Any

import msgspec
import paho.mqtt.client as paho
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from bench.programs import answer, hear_any

TABLE = (
    "CREATE TABLE IF NOT EXISTS readings (device text, metric text, ts timestamptz, value double precision,"
    " PRIMARY KEY (device, metric, ts))"
)
ONE = "(%s, %s, to_timestamp(%s), %s)"
TOPIC = "v1/devices/+/telemetry"


def main(port: int) -> None:
    """Subscribe, and store what comes, until nobody asks any more."""
    database = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    database.execute(TABLE)
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False, protocol=paho.MQTTv311
    )
    subscribed = Event()
    committed = 0

    def store(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        nonlocal committed
        device = message.topic.split("/")[2]
        told: dict[str, Any] = msgspec.json.decode(message.payload)
        # All readings of a message in one statement; with autocommit it is one transaction.
        rows = [(device, metric, told["ts"] / 1000, float(value)) for metric, value in told["values"].items()]
        statement = f"INSERT INTO readings VALUES {', '.join([ONE] * len(rows))} ON CONFLICT DO NOTHING"
        database.execute(statement, [field for row in rows for field in row])
        committed += 1

    def subscribe(*_: object) -> None:
        client.subscribe(TOPIC, qos=1)

    client.on_connect = subscribe
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = store
    client.connect("127.0.0.1", port)
    client.loop_start()
    subscribed.wait()
    while True:
        hear_any()
        answer(committed)


if __name__ == "__main__":
    main(int(sys.argv[1]))
