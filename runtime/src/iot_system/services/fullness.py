"""Tells monitoring how full the streams are, and how old what waits in them is."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import Gauge

from iot_system.errors import Unavailable
from iot_system.ports.clock import Clock
from iot_system.ports.usage import Streams

EVERY_S = 5.0
BYTES = Gauge("iot_stream_bytes", "Bytes that a stream has", ["stream"])
LIMIT = Gauge("iot_stream_limit_bytes", "Bytes that a stream may have", ["stream"])
OLDEST = Gauge("iot_stream_oldest_seconds", "Age of a stream's oldest message; 0 where it has none", ["stream"])
log = structlog.get_logger()


async def watch(streams: Streams, clock: Clock) -> None:
    """Look again and again, until cancelled. While nobody can tell there are no figures: a reason for an alert, too."""
    while True:
        try:
            found = await streams.usage()
        except Unavailable as error:
            log.warning("nobody can tell how full the streams are", why=str(error))
            found = []
        for figure in (BYTES, LIMIT, OLDEST):
            figure.clear()
        for one in found:
            age_us = 0 if one.oldest_us is None else max(0, clock.now_us() - one.oldest_us)
            BYTES.labels(one.stream).set(one.bytes)
            LIMIT.labels(one.stream).set(one.limit)
            OLDEST.labels(one.stream).set(age_us / 1e6)
        await asyncio.sleep(EVERY_S)
