"""Who has a session: records change hands by their revision, wherever the processes are that want them."""

from __future__ import annotations

import structlog
from msgspec.structs import replace

from iot_system.adapters.mqtt.broker.presence import Presence
from iot_system.adapters.mqtt.broker.publishing import Publisher
from iot_system.adapters.mqtt.broker.quota import Quota
from iot_system.ports.broker import Colleagues, SessionRecord, Sessions, SessionTaken, Will, session_key
from iot_system.ports.clock import Clock

RELEASE_TIMEOUT_S = 2.0
_ATTEMPTS = 5
log = structlog.get_logger()


class Ownership:
    """Takes records for process ``gateway``, and gives them back. Every method may raise `Unavailable`.

    A will is published before the record is written without it, under an id that makes it one message: so it is
    published exactly once, whoever fails in between.
    """

    def __init__(
        self,
        gateway: str,
        sessions: Sessions,
        colleagues: Colleagues,
        publisher: Publisher,
        presence: Presence,
        quota: Quota,
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._sessions = sessions
        self._colleagues = colleagues
        self._publisher = publisher
        self._presence = presence
        self._quota = quota
        self._clock = clock

    async def take(
        self, owner: str, client_id: str, connection: str, *, is_new: bool, expiry_s: int, will: Will | None
    ) -> tuple[SessionRecord, int, bool]:
        """The record of this client, now with this process; its revision; and whether it goes on with an older session.

        Who has it gives it up, or is passed over if it does not answer. Of several that take it at the same time one
        gets it, the others `SessionTaken`. Raises `Overloaded` where the owner may not keep another one.
        """
        key = session_key(owner, client_id)
        passed_over: set[str] = {"", self._gateway}
        for _ in range(_ATTEMPTS):
            found = await self._sessions.load(key)
            fresh = SessionRecord(owner=owner, client_id=client_id)
            is_new_one = expiry_s > 0 and (found is None or not found[0].expiry_s)
            if is_new_one:
                self._quota.check(owner)
            if found is None:
                record, revision, present = fresh, 0, False
            else:
                old, revision = found
                if old.gateway not in passed_over:
                    if len(passed_over) > 2:
                        break  # somebody else was faster
                    passed_over.add(old.gateway)
                    if await self._ask_for(old, is_new=is_new):
                        continue
                ends_us = old.ends_us()
                present = not is_new and (ends_us is None or ends_us > self._clock.now_us())
                if old.will is not None:
                    await self._part(old, goes_on=present)
                record = old if present else fresh
            record = replace(
                record, gateway=self._gateway, connection=connection, expiry_s=expiry_s, disconnected_us=0, will=will
            )
            try:
                saved = await self._sessions.save(record, revision)
            except SessionTaken:
                continue
            if is_new_one:
                self._quota.begun(owner, key)
            return record, saved, present
        raise SessionTaken(f"the client {client_id[:100]!r} has connected somewhere else at the same time")

    async def give_up(self, record: SessionRecord, revision: int, *, is_over: bool = False) -> SessionRecord | None:
        """Write that nobody has it since ``disconnected_us`` (0: now); returns what is left of it, None for nothing.

        It ends where it does not outlive its connection, or ``is_over``. Raises `SessionTaken`.
        """
        since_us = record.disconnected_us or self._clock.now_us()
        expiry_s = 0 if is_over else record.expiry_s
        record = replace(record, gateway="", disconnected_us=since_us, expiry_s=expiry_s)
        return await self._settle(record, revision, is_changed=True)

    async def look_after(self, key: str, *, abandoned: int | None = None) -> SessionRecord | None:
        """Do what is due for a record: its process died, its will or its session has run out; returns what is left.

        Any process may do so at any time: one of them does it. This process does not have what revision ``abandoned``
        says that it has.
        """
        found = await self._sessions.load(key)
        if found is None:
            return None
        record, revision = found
        try:
            is_own = record.gateway == self._gateway
            if record.gateway and (revision == abandoned if is_own else self._is_dead(record.gateway)):
                log.warning("a session lost its process", client_id=record.client_id[:100], gateway=record.gateway)
                return await self.give_up(record, revision)
            return await self._settle(record, revision, is_changed=False)
        except SessionTaken:
            return None

    async def _settle(self, record: SessionRecord, revision: int, *, is_changed: bool) -> SessionRecord | None:
        now_us = self._clock.now_us()
        will_due_us, ends_us = record.will_due_us(), record.ends_us()
        if will_due_us is not None and will_due_us <= now_us:
            await self._publisher.publish_will(record, now_us)
            record, is_changed = replace(record, will=None), True
        if ends_us is not None and ends_us <= now_us:
            await self._sessions.delete(record.key, revision)
            self._quota.ended(record.owner, record.key)
            return None
        if is_changed:
            await self._sessions.save(record, revision)
        return record

    async def _ask_for(self, record: SessionRecord, *, is_new: bool) -> bool:
        """Whether its process has given it up."""
        if self._is_dead(record.gateway):
            return False
        return await self._colleagues.release(record.gateway, record.key, is_new=is_new, timeout_s=RELEASE_TIMEOUT_S)

    async def _part(self, old: SessionRecord, *, goes_on: bool) -> None:
        """Publish the will of a connection that is over, but not where the session goes on within the delay."""
        assert old.will is not None
        due_us = old.will_due_us()
        is_due = due_us is not None and due_us <= self._clock.now_us()
        if old.will.delay_s and goes_on and not is_due:
            return
        await self._publisher.publish_will(old, self._clock.now_us())

    def _is_dead(self, gateway: str) -> bool:
        return self._presence.is_dead(gateway, self._clock.monotonic_s())
