"""Connections and streams that are open end when what let them in is revoked, disabled, deleted or has expired."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import structlog

from iot_system.domain.access import Principal
from iot_system.domain.questions import GetTokens
from iot_system.domain.registry import ApiToken, DeviceAccess
from iot_system.errors import IotError
from iot_system.ports.certificates import RevokedCertificates
from iot_system.ports.clock import Clock
from iot_system.services.administration import ANNOUNCED
from iot_system.services.asking import Asking

CHECK_EVERY_S = 4.0
"""All that is open is checked so often, for an announcement may be lost: its shard died, the broker was away."""
ASK_AT_ONCE = 1000
"""Ids in one question, so that it fits the broker and its answer comes in time."""
log = structlog.get_logger()


class Watch:
    """One open thing and who it was opened by. ``on_revoked`` is called once, with a sentence that says why."""

    def __init__(self, principal: Principal, on_revoked: Callable[[str], None]) -> None:
        self.principal = principal
        self.on_revoked = on_revoked


class Revocations:
    """Watches what is open. A credential that nobody can tell of at present stands."""

    def __init__(self, asking: Asking, clock: Clock, revoked: RevokedCertificates = frozenset()) -> None:
        self._asking = asking
        self._revoked = revoked
        self._clock = clock
        self._watched: dict[str, set[Watch]] = {}
        self._changed: set[str] = set()
        self._woken = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to check."""
        self._running = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Check no more; idempotent."""
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = None

    def watch(self, principal: Principal, on_revoked: Callable[[str], None]) -> Callable[[], None]:
        """See `iot_system.ports.gateway.Gateway.watch`."""
        key = _key(principal)
        if key is None:
            return _nothing
        watch = Watch(principal, on_revoked)
        self._watched.setdefault(key, set()).add(watch)
        self.changed(key)  # since the credential was checked it may have changed

        def end() -> None:
            self._end(key, watch)

        return end

    def changed(self, announced: str) -> None:
        """A device or a token (``token:ID``) changed: check what it let in."""
        if announced in self._watched:
            self._changed.add(announced)
            self._woken.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        check_all_s = loop.time() + CHECK_EVERY_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(check_all_s):
                    await self._woken.wait()
            self._woken.clear()
            if loop.time() >= check_all_s:
                check_all_s = loop.time() + CHECK_EVERY_S
                self._changed.update(self._watched)
            keys, self._changed = self._changed, set()
            try:
                await self._check(keys)
            except Exception:
                log.exception("what is open could not be checked")

    async def _check(self, keys: Iterable[str]) -> None:
        tokens: list[str] = []
        devices: dict[int, list[str]] = {}
        for key in keys:
            if self._end_by_itself(key):
                continue
            if key.startswith(ANNOUNCED):
                tokens.append(key.removeprefix(ANNOUNCED))
            else:
                devices.setdefault(self._asking.partition_of(key), []).append(key)
        await asyncio.gather(
            *(self._check_devices(partition, ids) for partition, all_ids in devices.items() for ids in _parts(all_ids)),
            *(self._check_tokens(ids) for ids in _parts(tokens)),
        )

    async def _check_devices(self, partition: int, ids: list[str]) -> None:
        try:
            answer = await self._asking.access(partition, ids)
        except IotError as error:
            log.debug("credentials could not be checked", partition=partition, why=str(error))
            return
        found = {access.device.id: access for access in answer}
        for id_ in ids:
            for watch in self._watches(id_):
                if why := _why_not_device(watch.principal, found.get(id_)):
                    self._revoke(id_, watch, why)

    async def _check_tokens(self, ids: list[str]) -> None:
        try:
            answer = await self._asking.ask(None, GetTokens(ids), list[ApiToken])
        except IotError as error:
            log.debug("API tokens could not be checked", why=str(error))
            return
        found = {token.id: token for token in answer}
        for id_ in ids:
            for watch in self._watches(ANNOUNCED + id_):
                token, principal = found.get(id_), watch.principal
                if token is None or (token.role, token.scopes) != (principal.role, principal.scopes):
                    self._revoke(ANNOUNCED + id_, watch, "the API token was revoked")

    def _end_by_itself(self, key: str) -> bool:
        """End what has expired and what a revoked certificate let in; returns whether nothing is left to ask for."""
        for watch in self._watches(key):
            principal = watch.principal
            if principal.certificate is not None and principal.certificate in self._revoked:
                self._revoke(key, watch, "the certificate was revoked")
            elif principal.expires_us is not None and principal.expires_us <= self._clock.now_us():
                self._revoke(key, watch, f"the {'certificate' if principal.certificate else 'token'} has expired")
        return key.startswith(_SIGNED) or key not in self._watched

    def _revoke(self, key: str, watch: Watch, why: str) -> None:
        if self._end(key, watch):
            log.info("ended, for it may no longer be open", principal=watch.principal.id, why=why)
            watch.on_revoked(why)

    def _end(self, key: str, watch: Watch) -> bool:
        """Returns whether it was watched until now."""
        watches = self._watched.get(key, set())
        if watch not in watches:
            return False
        watches.discard(watch)
        if not watches:
            del self._watched[key]
        return True

    def _watches(self, key: str) -> Sequence[Watch]:
        return tuple(self._watched.get(key, ()))


_SIGNED = "signed:"
"""Before the subject of a JWT, and of who else is let in without what could be asked for: it ends when it expires."""


def _key(principal: Principal) -> str | None:
    """What is announced when the principal's credential changes; None where it cannot change."""
    if principal.role == "device":
        return principal.id
    if principal.credential is not None:
        return ANNOUNCED + principal.credential
    return None if principal.expires_us is None else _SIGNED + principal.id


def _why_not_device(principal: Principal, access: DeviceAccess | None) -> str | None:
    if access is None:
        return "the device was removed"
    if not access.device.enabled:
        return "the device was disabled"
    if principal.credential is None and principal.certificate is not None:
        return None
    if principal.credential not in {credential.id for credential in access.credentials}:
        return "the credential was revoked"
    return None


def _parts(ids: list[str]) -> list[list[str]]:
    rest = iter(ids)
    return list(iter(lambda: list(islice(rest, ASK_AT_ONCE)), []))


def _nothing() -> None:
    return
