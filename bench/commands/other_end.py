"""`python -m bench.commands.other_end BROKER_PORT`: who answers the bare hops, and does nothing else.

HTTP by the system's own server with one route that returns an object, and a subject of NATS; answers by the HTTP port.
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from iot_system.adapters.http.server import HttpServer
from iot_system.adapters.nats.connection import connect
from iot_system.settings import BrokerSettings
from litestar import Litestar, get
from nats.aio.msg import Msg

from bench.programs import answer, hear_any

SUBJECT = "bench.echo"


@get("/hello")
async def hello() -> dict[str, str]:
    """The least that an interface can do."""
    return {"hello": "there"}


async def main(broker_port: int) -> None:
    """Serve until nobody asks any more."""
    client = await connect(BrokerSettings(urls=f"nats://127.0.0.1:{broker_port}"), name="other end")

    async def reply(message: Msg) -> None:
        await message.respond(message.data)

    await client.subscribe(SUBJECT, cb=reply)
    await client.flush()
    server = HttpServer(Litestar([hello], logging_config=None, openapi_config=None), "127.0.0.1", 0)
    await server.start()
    while True:
        await asyncio.to_thread(hear_any)
        answer(server.port)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
