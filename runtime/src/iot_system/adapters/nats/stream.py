"""The frame stream in JetStream: limits retention, `discard: new`, one subject per partition; and the way to others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from uuid import uuid4

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig, StreamInfo

from iot_system.adapters.nats.answers import IS_FULL, TOO_LARGE, decode_answer
from iot_system.adapters.nats.events import EVENTS, READINGS, SUBJECTS
from iot_system.adapters.nats.lives import identity_of, note_losses, noted_losses
from iot_system.adapters.nats.looking import look
from iot_system.adapters.nats.reader import BUNDLE, NatsReader, partitions_of
from iot_system.domain.bundles import bundle_of, encode_bundle
from iot_system.domain.ids import HASH_VERSION
from iot_system.errors import InvalidSetting, Overloaded, TooLarge, Unavailable, reason_of
from iot_system.ports.stream import ANSWER_S, StreamLost
from iot_system.settings import StreamSettings

STREAM = "IOT_FRAMES"
SUBJECT = "iot.frames"
DEDUPLICATION_WINDOW_S = 120.0
ANSWER_TIMEOUT_S = 5.0
LEAST_PAYLOAD = 8 << 20
"""Frames reach 4 MiB, and one message more."""
log = structlog.get_logger()


class NatsStream:
    """Implements `iot_system.ports.stream.Stream`."""

    def __init__(self, client: Client, settings: StreamSettings) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=ANSWER_TIMEOUT_S)
        self._settings = settings
        self._lost = ""
        """Identity of the stream that has lost what it held, which is not noted yet."""

    async def identity(self) -> str:
        """What it is known by, which changes with its data.

        Raises `Unavailable` where this stream, or one that the actor system publishes to, does not exist, and
        `InvalidSetting` as `check` does.
        """
        for stream in (EVENTS, READINGS):
            await look(self._jetstream, stream)
        return identity_of(await self.check(), await self._losses())

    async def follow(self, stream_id: str, *, reached: int) -> str:
        """See `iot_system.ports.stream.Stream.follow`."""
        losses, info = await self._losses(), await self.check()
        if (identity := identity_of(info, losses)) != stream_id:
            return identity
        if self._lost != identity:
            if info.state.last_seq >= reached or not await self._is_lost(info, reached):
                return identity
            self._lost = identity
        try:
            await note_losses(self._jetstream, STREAM, losses + 1)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"a loss of stream {STREAM} cannot be noted: {reason_of(error)}") from error
        return identity_of(info, losses + 1)

    async def verify(self, stream_id: str, *, reached: int) -> None:
        """See `iot_system.ports.stream.Stream.verify`."""
        await self._compare(await look(self._jetstream, STREAM), stream_id, reached)

    async def check(self) -> StreamInfo:
        """Raises `Unavailable` where the stream does not exist, `InvalidSetting` where it does not fit."""
        info = await look(self._jetstream, STREAM)
        check_frames(self._client, info, self._settings)
        return info

    async def publish(self, partition: int, data: bytes, *, message_id: str, answer_s: float = ANSWER_S) -> int:
        """See `iot_system.ports.stream.Stream.publish`."""
        return await self._append(f"{SUBJECT}.{partition}", data, message_id, answer_s)

    async def publish_bundle(self, frames: Mapping[int, bytes], *, message_id: str, answer_s: float = ANSWER_S) -> int:
        """See `iot_system.ports.stream.Stream.publish_bundle`."""
        number = bundle_of(min(frames))
        return await self._append(f"{SUBJECT}.{BUNDLE}{number}", encode_bundle(frames), message_id, answer_s)

    async def publish_events(self, source: int, data: bytes, *, message_id: str) -> None:
        """See `iot_system.ports.stream.Stream.publish_events`."""
        await self._append(f"{SUBJECTS[EVENTS]}.{source}", data, message_id)

    async def publish_readings(self, source: int, data: bytes) -> None:
        """See `iot_system.ports.stream.Stream.publish_readings`."""
        try:
            await self._client.publish(f"{SUBJECTS[READINGS]}.{source}", data)
        except nats.errors.MaxPayloadError as error:
            raise TooLarge(f"readings have {len(data)} bytes; the broker's limit is {self.frame_limit}") from error
        except nats.errors.Error as error:
            raise Unavailable(f"the broker took no readings: {error}") from error

    async def _append(self, subject: str, data: bytes, message_id: str, answer_s: float = ANSWER_S) -> int:
        try:
            reply = await self._client.request(subject, data, timeout=answer_s, headers={"Nats-Msg-Id": message_id})
        except nats.errors.MaxPayloadError as error:
            raise TooLarge(f"a frame has {len(data)} bytes; the broker's limit is {self.frame_limit}") from error
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"the broker did not confirm a frame: {reason_of(error)}") from error
        answer = decode_answer(reply.data)
        if answer.error is None and answer.seq:
            return answer.seq
        if answer.error is None:
            raise Unavailable("the broker did not say where in the stream a frame is")
        if answer.error.err_code in IS_FULL:
            raise Overloaded(f"the stream is full: {answer.error.description}", after_s=5.0)
        if answer.error.err_code == TOO_LARGE:
            raise TooLarge(f"a frame has {len(data)} bytes: {answer.error.description}")
        raise Unavailable(f"the broker refused a frame: {answer.error.description}")

    @property
    def frame_limit(self) -> int:
        """The largest frame in bytes, headers left aside."""
        return self._client.max_payload - 1024

    def read(self, positions: Mapping[int, int], *, stream_id: str) -> NatsReader:
        """See `iot_system.ports.stream.Stream.read`."""
        verify = partial(self.verify, stream_id, reached=max(positions.values()))
        return NatsReader(self._client, STREAM, SUBJECT, positions, of=self._settings.partitions, verify=verify)

    async def trim(self, applied: Mapping[int, int], *, stream_id: str) -> None:
        """See `iot_system.ports.stream.Stream.trim`."""
        try:
            info = await self._jetstream.stream_info(STREAM, subjects_filter=f"{SUBJECT}.*")
            await self._compare(info, stream_id, max(applied.values(), default=0))
            subjects = list(info.state.subjects or {})
            newest = await asyncio.gather(*(self._newest(subject) for subject in subjects))
            # What is known of all subjects goes no further than the newest message seen: who tells may be behind.
            keep_from = min(info.state.last_seq, max(newest, default=0)) + 1
            for subject, sequence in zip(subjects, newest, strict=True):
                for partition in partitions_of(subject, self._settings.partitions):
                    if sequence > applied.get(partition, 0):
                        keep_from = min(keep_from, applied.get(partition, 0) + 1)
            if keep_from > max(info.state.first_seq, 1):  # some servers take 1 for everything
                await self._jetstream.purge_stream(STREAM, seq=keep_from)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"the stream could not be trimmed: {reason_of(error)}") from error

    async def clear(self) -> None:
        """Forget everything."""
        try:
            await self._jetstream.purge_stream(STREAM)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"the stream could not be cleared: {error}") from error

    async def _newest(self, subject: str) -> int:
        message = await self._jetstream.get_last_msg(STREAM, subject)
        return message.seq or 0

    async def _is_lost(self, info: StreamInfo, reached: int) -> bool:
        """Whether a number that was applied is given again. Who told ``info`` may be behind, a majority is not."""
        try:
            given = await self.publish_bundle({0: b""}, message_id=f"follow-{uuid4()}")
        except Overloaded:  # nobody can tell: to read it once more loses nothing
            return True
        if given > reached:
            log.warning("a server is behind", stream=STREAM, ends_at=info.state.last_seq, applied=reached, given=given)
        return given <= reached

    async def _losses(self) -> int:
        try:
            return await noted_losses(self._jetstream, STREAM)
        except (nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"JetStream does not answer: {reason_of(error)}") from error

    async def _compare(self, info: StreamInfo, stream_id: str, reached: int) -> None:
        """Raises `StreamLost` where ``info`` is not of ``stream_id``, or of what is left of it."""
        if (found := identity_of(info, await self._losses())) != stream_id:
            raise StreamLost(f"stream {STREAM} is another one now: made {found}, before {stream_id}")
        if info.state.last_seq < reached:
            raise StreamLost(f"stream {STREAM} ends at {info.state.last_seq}, but {reached} was applied")


def frame_stream(settings: StreamSettings) -> StreamConfig:
    """As it should be. Partitions are its metadata, for they are fixed from then on."""
    return StreamConfig(
        name=STREAM,
        subjects=[f"{SUBJECT}.*"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.NEW,
        num_replicas=settings.replicas,
        max_bytes=settings.max_bytes,
        duplicate_window=DEDUPLICATION_WINDOW_S,
        allow_direct=True,
        metadata={"iot-partitions": str(settings.partitions), "iot-hash": str(HASH_VERSION)},
    )


def check_frames(client: Client, info: StreamInfo, settings: StreamSettings) -> None:
    """Raises `InvalidSetting` where the stream has other partitions, or the broker takes no message of its size."""
    if client.max_payload < LEAST_PAYLOAD:
        raise InvalidSetting(
            f"the broker's max_payload is {client.max_payload} bytes; it must be at least {LEAST_PAYLOAD}"
        )
    stamped = info.config.metadata or {}
    partitions, hash_version = stamped.get("iot-partitions"), stamped.get("iot-hash")
    if partitions != str(settings.partitions):
        raise InvalidSetting(
            f"IOT_PARTITIONS is {settings.partitions}, but this installation was made with {partitions}"
        )
    if hash_version != str(HASH_VERSION):
        raise InvalidSetting(f"stream {STREAM} uses hash version {hash_version}; this version knows {HASH_VERSION}")
