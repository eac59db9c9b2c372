"""Which service may say and hear what in NATS: the list, and the file that nats-server reads it from.

What a service is not allowed here the server refuses, whatever its code asks for. Each has replies in an inbox of its
own (``_INBOX.USER.…``), so that none hears another's. ``python -m iot_system.adapters.nats.permissions`` prints the
file; the chart's copy is compared with it by a test.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import msgspec

from iot_system.adapters.nats.broker.streams import (
    MESSAGES,
    MESSAGES_SUBJECT,
    RETAINED,
    RETAINED_SUBJECT,
    SESSIONS,
    SESSIONS_SUBJECT,
)
from iot_system.adapters.nats.connection import inbox_of
from iot_system.adapters.nats.events import EVENTS, READINGS, SUBJECTS
from iot_system.adapters.nats.requests import ALIVE, ASK, CHANGED, GATEWAY, LISTENING
from iot_system.adapters.nats.stream import STREAM as FRAMES
from iot_system.adapters.nats.stream import SUBJECT as FRAMES_SUBJECT

API = "api"
ACTOR_SYSTEM = "actor-system"


class Allowed(msgspec.Struct, frozen=True):
    """Subjects. Beside them, an answer may go to whoever has asked."""

    publish: Sequence[str]
    subscribe: Sequence[str]


def _look(*streams: str) -> list[str]:
    """To see what there is. Nobody here may make a stream or change one: by its configuration it could do anything."""
    return [f"$JS.API.STREAM.INFO.{stream}" for stream in streams]


def _read(stream: str) -> list[str]:
    """To read it in order, by consumers of one's own that keep no acknowledgements."""
    return [
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        *(f"$JS.API.CONSUMER.{verb}.{stream}.*" for verb in ("INFO", "DELETE", "MSG.NEXT")),
    ]


PERMISSIONS: Mapping[str, Allowed] = {
    API: Allowed(
        publish=[
            # What devices and clients send, and questions to the owners of actors.
            f"{FRAMES_SUBJECT}.*",
            f"{ASK}.*",
            CHANGED,
            ALIVE,
            LISTENING,
            # Sessions are asked for from the process that has them.
            f"{GATEWAY}.*.sessions",
            # Frames are none of its business: it looks whether their stream is there.
            *_look(FRAMES),
            # What applications are told.
            *_look(EVENTS, READINGS),
            *_read(EVENTS),
            *_read(READINGS),
            # Applications' topics: the API alone writes and reads their streams.
            f"{MESSAGES_SUBJECT}.>",
            f"{RETAINED_SUBJECT}.>",
            f"{SESSIONS_SUBJECT}.*",
            *_look(MESSAGES, RETAINED, SESSIONS),
            *(subject for stream in (MESSAGES, RETAINED, SESSIONS) for subject in _read(stream)),
            *(f"$JS.API.STREAM.MSG.GET.{stream}" for stream in (MESSAGES, RETAINED, SESSIONS)),
            f"$JS.API.STREAM.MSG.DELETE.{SESSIONS}",
            # Shared subscriptions settle what they were given.
            f"$JS.ACK.{MESSAGES}.>",
            f"$JS.ACK.*.*.{MESSAGES}.>",
        ],
        subscribe=[
            f"{inbox_of(API)}.>",
            CHANGED,
            ALIVE,
            f"{GATEWAY}.*",
            f"{GATEWAY}.*.sessions",
            # The end of a command is heard as it is said, before the stream has it.
            f"{SUBJECTS[EVENTS]}.*",
        ],
    ),
    ACTOR_SYSTEM: Allowed(
        publish=[
            # Messages between actors, and what the API is told.
            f"{FRAMES_SUBJECT}.*",
            f"{SUBJECTS[EVENTS]}.*",
            f"{SUBJECTS[READINGS]}.*",
            f"{GATEWAY}.*",
            CHANGED,
            *_look(FRAMES, EVENTS, READINGS),
            *_read(FRAMES),
            f"$JS.API.STREAM.PURGE.{FRAMES}",
            f"$JS.API.STREAM.MSG.GET.{FRAMES}",
        ],
        subscribe=[f"{inbox_of(ACTOR_SYSTEM)}.>", f"{ASK}.*", ALIVE, LISTENING],
    ),
}


def permissions_file() -> str:
    """The file, in the form of nats-server's configuration: a variable ``{SERVICE}_PERMISSIONS`` for each service."""
    lines = ["# Made by `python -m iot_system.adapters.nats.permissions`: which service may say and hear what."]
    for service, allowed in PERMISSIONS.items():
        lines += ["", f"{variable_of(service)} {{"]
        for verb, subjects in (("publish", allowed.publish), ("subscribe", allowed.subscribe)):
            lines += [f"  {verb}: {{", "    allow: [", *(f'      "{one}"' for one in subjects), "    ]", "  }"]
        lines += ["  # Who was asked may answer once.", '  allow_responses: {max: 1, expires: "2m"}', "}"]
    return "\n".join([*lines, ""])


def variable_of(service: str) -> str:
    """What a user's ``permissions`` refer to, after ``$``."""
    return f"{service.upper().replace('-', '_')}_PERMISSIONS"


if __name__ == "__main__":
    sys.stdout.write(permissions_file())
