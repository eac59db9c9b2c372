"""The gateway as its protocol adapters (HTTP, MQTT) see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from iot_system.domain.access import Principal, Scope
from iot_system.domain.certificates import ClientCertificate
from iot_system.domain.deliveries import Delivery
from iot_system.domain.history import Bucket, HistoryQuery, Reading, Stretch
from iot_system.domain.ids import ME
from iot_system.domain.questions import DesiredView, DeviceView, Explanation
from iot_system.domain.readings import Telemetry
from iot_system.domain.registry import Credential, Device, Page
from iot_system.domain.signals import Signal
from iot_system.errors import InvalidInput, IotError
from iot_system.ports.administration import Administration
from iot_system.ports.commanding import Commands
from iot_system.ports.events import Events
from iot_system.ports.rooms import Rooms


def resolve_me(device: str, principal: Principal) -> str:
    """The device id that ``device`` means to ``principal``: itself, or for ``me`` their own. Raises `InvalidInput`."""
    if device != ME:
        return device
    if principal.role != "device":
        raise InvalidInput("device 'me' stands for a device's own id, and this client is not a device: name the device")
    return principal.id


__all__ = ["Gateway", "Imported", "IssuedToken", "Principal", "resolve_me"]


class IssuedToken(msgspec.Struct, frozen=True):
    """A new credential; ``token`` is shown this once only."""

    credential: str
    device: str
    token: str


class Imported(msgspec.Struct, frozen=True):
    """``existing`` ids were left as they were, ``refused`` ones tell why by id; all others are registered."""

    existing: list[str]
    refused: dict[str, IotError]


class Gateway(Protocol):
    """Everything a client can want. Raises `iot_system.errors`, each with one sentence for the client.

    ``by`` is who makes a change, for the audit.
    """

    @property
    def name(self) -> str:
        """Of this process, another one after each start: what `iot_system.domain.signals.Connected` names."""
        ...

    @property
    def commands(self) -> Commands: ...

    @property
    def rooms(self) -> Rooms: ...

    @property
    def administration(self) -> Administration: ...

    @property
    def events(self) -> Events: ...

    def on_delivery(self, callback: Callable[[Delivery], None]) -> None:
        """Call ``callback`` with what a device that is connected to this process is to get."""
        ...

    def on_registration(self, callback: Callable[[str], None]) -> None:
        """Call ``callback`` with the id of each device whose registration has changed, unless that word gets lost."""
        ...

    def now_us(self) -> int:
        """The time that telemetry without a timestamp gets: unique and growing."""
        ...

    async def authenticate(
        self,
        token: str,
        *,
        device: str | None = None,
        client: str = "",
        certificate: ClientCertificate | None = None,
    ) -> Principal:
        """Whose token this is; with ``device``, it must be that device's. ``client`` is the address it came from.

        A ``certificate`` that comes with it must be good too, and of the same device where the token is a device's.

        Raises `Unauthenticated`, `Forbidden` where the token is right and allows nothing, and `Overloaded` where this
        client has given too many wrong ones.
        """
        ...

    async def authenticate_certificate(self, certificate: ClientCertificate) -> Principal:
        """The device that a client's certificate names: it needs no token. Raises `Unauthenticated`, `Forbidden`."""
        ...

    def watch(self, principal: Principal, on_revoked: Callable[[str], None]) -> Callable[[], None]:
        """Call ``on_revoked`` with a sentence, once, when what let ``principal`` in is revoked or has expired.

        For what stays open: a connection, a stream of events. Call what it returns when that has ended by itself.
        """
        ...

    async def registered(self, device: str) -> Device | None:
        """A device's registration, or None; some seconds old at most."""
        ...

    async def ingest(self, principal: Principal, messages: Sequence[Telemetry | Signal]) -> list[Exception | None]:
        """Store messages durably, in their order per device; returns one entry each: None if durable, or why not.

        A device speaks for itself and for those that name it as their gateway, an operator for those in sight.

        Raises `Overloaded` or `Unavailable` where none of them could be stored.
        """
        ...

    async def create_device(self, device: Device, *, by: str = "") -> Device:
        """Register one. Raises `Conflict` where the id exists."""
        ...

    async def import_devices(self, devices: Sequence[Device], *, by: str = "") -> Imported:
        """Register many; what is wrong with one, or with those of one partition, does not affect the others."""
        ...

    async def device(self, id_: str) -> DeviceView:
        """Registration and twin. Raises `NotFound`."""
        ...

    async def patch_device(self, id_: str, patch: dict[str, Any], *, by: str = "") -> Device:
        """Change ``room``, ``behaviour``, ``labels``, ``enabled`` or ``gateway`` by a merge patch (RFC 7396)."""
        ...

    async def patch_desired(self, id_: str, patch: dict[str, Any], *, if_version: int | None, by: str) -> DesiredView:
        """Merge ``patch`` into a device's desired state.

        Raises `PreconditionFailed` where ``if_version`` is given and is not the version now.
        """
        ...

    async def delete_device(self, id_: str, *, by: str = "") -> None:
        """Remove a device with everything known of it."""
        ...

    async def list_devices(
        self, *, room: str | None, label: str | None, limit: int, cursor: str | None, scopes: tuple[Scope, ...] = ()
    ) -> Page:
        """Devices by id, those that ``scopes`` leave in sight."""
        ...

    async def issue_token(self, device: str, *, by: str = "") -> IssuedToken:
        """Make a new token; earlier ones stay valid, so that they can rotate."""
        ...

    async def credentials(self, device: str) -> Sequence[Credential]:
        """All of a device. Raises `NotFound`."""
        ...

    async def revoke_credential(self, device: str, credential: str, *, by: str = "") -> None:
        """Raises `NotFound`."""
        ...

    async def readings(self, query: HistoryQuery) -> Stretch[Reading]:
        """Raises `NotFound` where the device is not registered."""
        ...

    async def buckets(self, query: HistoryQuery) -> Stretch[Bucket]:
        """Raises `NotFound` where the device is not registered."""
        ...

    async def explain(self, device: str) -> Explanation:
        """Who owns the device's actor now."""
        ...
