"""Whether a CONNECT is let in, and as whom."""

from __future__ import annotations

from iot_system.adapters.mqtt.packets import MQTT_3_1_1, Connect
from iot_system.adapters.mqtt.reasons import ConnectCode
from iot_system.domain.ids import check_id
from iot_system.errors import Forbidden, InvalidInput, Retry, Unauthenticated
from iot_system.ports.gateway import Gateway, Principal

ADMIN = "admin"
CLIENT_ID_LIMIT = 256


class NotAdmitted(Exception):
    """The answer is ``code`` (3.2.2.3), and the connection ends."""

    def __init__(self, code: ConnectCode, reason: str, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.reason = reason


def check_connect(connect: Connect) -> None:
    """Raises `NotAdmitted` for what no credential can mend.

    A client of MQTT 5 understands return code 1, in a CONNACK of 3.1.1's form, as its reason code 0x84.
    """
    if connect.protocol_level != MQTT_3_1_1:
        why = f"the protocol level is {connect.protocol_level}; this server speaks {MQTT_3_1_1} (MQTT 3.1.1)"
        raise NotAdmitted(ConnectCode.PROTOCOL_LEVEL, "protocol", why)
    if not connect.client_id and not connect.clean_start:
        why = "a client without an identifier must ask for a clean session (MQTT 3.1.3.1)"
        raise NotAdmitted(ConnectCode.CLIENT_ID, "client_id", why)
    if len(connect.client_id) > CLIENT_ID_LIMIT:
        why = f"the client identifier has {len(connect.client_id)} characters; the limit is {CLIENT_ID_LIMIT}"
        raise NotAdmitted(ConnectCode.CLIENT_ID, "client_id", why)


async def authenticate(gateway: Gateway, connect: Connect) -> Principal:
    """The device that ``username`` names, by its token in ``password``; ``admin`` names the administrator.

    Raises `NotAdmitted`.
    """
    if connect.username is None or not connect.password:
        why = "CONNECT needs the device's id as user name and its token as password"
        raise NotAdmitted(ConnectCode.CREDENTIALS, "unauthenticated", why)
    try:
        token = connect.password.decode()
        if connect.username != ADMIN:
            return await gateway.authenticate(token, device=check_id(connect.username, field="user name"))
        principal = await gateway.authenticate(token)
    except UnicodeDecodeError:
        raise NotAdmitted(ConnectCode.CREDENTIALS, "unauthenticated", "the password is not valid UTF-8") from None
    except InvalidInput as error:
        raise NotAdmitted(ConnectCode.CREDENTIALS, "unauthenticated", str(error)) from None
    except (Unauthenticated, Forbidden) as error:
        raise NotAdmitted(ConnectCode.NOT_AUTHORIZED, "unauthenticated", str(error)) from None
    except Retry as error:
        raise NotAdmitted(ConnectCode.UNAVAILABLE, "unavailable", str(error)) from None
    if principal.role != "admin":
        raise NotAdmitted(ConnectCode.NOT_AUTHORIZED, "unauthenticated", "the token is not the administrator's")
    return principal
