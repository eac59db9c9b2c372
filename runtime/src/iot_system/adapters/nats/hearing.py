"""What was said on a subject, and not merely delivered there.

JetStream delivers messages of a stream, and answers, to whatever subject its client names: also to one that this client
may not publish to. Such a message still bears the subject that it was stored under, or asks to be acknowledged.
"""

from __future__ import annotations

from nats.aio.msg import Msg

_INBOX = "_INBOX."


def was_said(message: Msg, subject: str) -> bool:
    """Whether somebody has published it to ``subject``, who waits for an answer in an inbox or not at all."""
    return message.subject == subject and (not message.reply or message.reply.startswith(_INBOX))
