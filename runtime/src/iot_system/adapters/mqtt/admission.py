"""Whether a CONNECT is let in, and as whom."""

from __future__ import annotations

from uuid import uuid4

from iot_system.adapters.mqtt.broker.attachment import Attachment, Client
from iot_system.adapters.mqtt.broker.router import Connecting
from iot_system.adapters.mqtt.common import Common
from iot_system.adapters.mqtt.handshake import agree
from iot_system.adapters.mqtt.packets import MQTT_3_1_1, MQTT_5, Connect
from iot_system.adapters.mqtt.reasons import ReasonCode
from iot_system.domain.certificates import ClientCertificate
from iot_system.domain.ids import check_id
from iot_system.errors import Forbidden, InvalidInput, Overloaded, Retry, Unauthenticated
from iot_system.ports.broker import SessionTaken, session_key
from iot_system.ports.gateway import Gateway, Principal

PERSONS = frozenset({"admin", "api", "jwt"})
"""User names of people and programs, whose token says who they are; any other is a device's id."""
CLIENT_ID_LIMIT = 256


class NotAdmitted(Exception):
    """The answer is ``code`` (3.2.2.2), and the connection ends."""

    def __init__(self, code: ReasonCode, reason: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.reason = reason


def check_connect(connect: Connect) -> None:
    """Raises `NotAdmitted` for what no credential can mend."""
    if connect.protocol_level not in (MQTT_3_1_1, MQTT_5):
        why = f"the protocol level is {connect.protocol_level}; this server speaks 4 (MQTT 3.1.1) and 5"
        raise NotAdmitted(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, "protocol", why)
    if not connect.client_id and not connect.clean_start and connect.protocol_level == MQTT_3_1_1:
        why = "a client without an identifier must ask for a clean session (MQTT 3.1.3.1)"
        raise NotAdmitted(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "client_id", why)
    if len(connect.client_id) > CLIENT_ID_LIMIT:
        why = f"the client identifier has {len(connect.client_id)} characters; the limit is {CLIENT_ID_LIMIT}"
        raise NotAdmitted(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "client_id", why)


async def authenticate(
    gateway: Gateway, connect: Connect, client: str, certificate: ClientCertificate | None
) -> Principal:
    """The device that ``username`` names, by its token in ``password``, or one of `PERSONS`, from address ``client``.

    Without a password, the device that the ``certificate`` names. Raises `NotAdmitted`.
    """
    try:
        if certificate is not None and not connect.password:
            if connect.username not in (None, "", certificate.device):
                named = connect.username[:128]
                raise Forbidden(f"the user name is {named!r}, and the certificate is of device {certificate.device!r}")
            return await gateway.authenticate_certificate(certificate)
        if connect.username is None or not connect.password:
            raise InvalidInput(
                "CONNECT needs the device's id as user name and its token as password; 'api' is a program's user name"
            )
        token = connect.password.decode()
        if connect.username not in PERSONS:
            device = check_id(connect.username, field="user name")
            return await gateway.authenticate(token, device=device, client=client, certificate=certificate)
        principal = await gateway.authenticate(token, client=client, certificate=certificate)
    except UnicodeDecodeError:
        why = "the password is not valid UTF-8"
        raise NotAdmitted(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "unauthenticated", why) from None
    except InvalidInput as error:
        raise NotAdmitted(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "unauthenticated", str(error)) from None
    except (Unauthenticated, Forbidden) as error:
        raise NotAdmitted(ReasonCode.NOT_AUTHORIZED, "unauthenticated", str(error)) from None
    except Overloaded as error:
        raise NotAdmitted(ReasonCode.QUOTA_EXCEEDED, "slowed", str(error)) from None
    except Retry as error:
        raise NotAdmitted(ReasonCode.SERVER_UNAVAILABLE, "unavailable", str(error)) from None
    if principal.role == "device":
        why = f"the token is a device's: its user name is {principal.id!r}"
        raise NotAdmitted(ReasonCode.NOT_AUTHORIZED, "unauthenticated", why)
    return principal


async def attach(common: Common, client: Client, connect: Connect, principal: Principal) -> tuple[Attachment, bool]:
    """Take up the session that is asked for; returns also whether there was one. Raises `NotAdmitted`."""
    client_id = connect.client_id or uuid4().hex
    key = session_key(principal.owner, client_id)
    try:
        will = None if connect.will is None else await common.applications.will_of(principal, connect.will, key)
        connecting = Connecting(
            owner=principal.owner,
            client_id=client_id,
            connection=uuid4().hex,
            is_new=connect.clean_start,
            expiry_s=agree(connect, common.limits).session_expiry_interval_s,
            will=will,
            may_subscribe=lambda filter_: common.applications.may_subscribe(principal, filter_),
        )
        return await common.router.attach(client, connecting)
    except (Forbidden, InvalidInput) as error:
        raise NotAdmitted(ReasonCode.NOT_AUTHORIZED, "will", f"the will: {error}") from None
    except SessionTaken as error:
        raise NotAdmitted(ReasonCode.SERVER_BUSY, "taken_over", str(error)) from None
    except Overloaded as error:
        raise NotAdmitted(ReasonCode.QUOTA_EXCEEDED, "overloaded", str(error)) from None
    except Retry as error:
        raise NotAdmitted(ReasonCode.SERVER_UNAVAILABLE, "unavailable", str(error)) from None
