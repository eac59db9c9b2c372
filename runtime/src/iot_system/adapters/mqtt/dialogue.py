"""What is said on a connection once its client is let in: every packet but PUBLISH is answered here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from iot_system.adapters.mqtt import packets
from iot_system.adapters.mqtt.events import Acknowledged, Ended
from iot_system.adapters.mqtt.handshake import Terms
from iot_system.adapters.mqtt.inbound import Inbound
from iot_system.adapters.mqtt.limits import MqttLimits
from iot_system.adapters.mqtt.malformed import ProtocolError
from iot_system.adapters.mqtt.outbound import Outbound
from iot_system.adapters.mqtt.output import Output
from iot_system.adapters.mqtt.packets import MQTT_5, Disconnect, Packet, Subscribe, Unsubscribe, Will
from iot_system.adapters.mqtt.reasons import SUBSCRIPTION_REFUSED, ReasonCode
from iot_system.adapters.mqtt.session import Session

Step: TypeAlias = Subscribe | Unsubscribe | Acknowledged | Ended | None
"""What a packet makes happen: nothing, where it was answered or needs no answer."""


class Dialogue:
    """One client with its session, from CONNACK to the end."""

    def __init__(
        self, session: Session, output: Output, terms: Terms, limits: MqttLimits, *, will: Will | None
    ) -> None:
        self.session = session
        self.inbound = Inbound(session, output, limits)
        self.outbound = Outbound(session, output, terms, limits)
        self.asked: Subscribe | Unsubscribe | None = None
        """What the caller has to answer before anything else is looked at."""
        self._output = output
        self._limits = limits
        self._will = will
        session.expiry_interval_s = terms.session_expiry_interval_s

    def answer(self, packet: Packet, now_s: float) -> Step:
        """Take a packet; ``now_s`` is seconds since 1970. Raises `ProtocolError`."""
        match packet:
            case packets.PubAck(packet_id):
                return self._acknowledged(packet_id, now_s)
            case packets.PubRel(packet_id):
                self.inbound.release(packet_id)
            case packets.PingReq():
                self._output.send(packets.PingResp())
            case Subscribe() | Unsubscribe():
                self.asked = packet
                return packet
            case Disconnect():
                return self._leave(packet)
            case packets.Connect():
                raise ProtocolError("the client sent a second CONNECT", "3.1")
            case packets.Auth():
                raise ProtocolError("AUTH came, and CONNECT named no authentication method", "4.12")
            case _:
                raise ProtocolError(f"{type(packet).__name__.upper()} answers nothing that was sent", "4.13")
        return None

    def answer_asked(self, codes: Sequence[ReasonCode], *, is_open: bool) -> bool:
        """Answer what was `asked`, one code for each filter; False where the client cannot take so large an answer."""
        asked, self.asked = self.asked, None
        answer: Packet
        match asked:
            case Subscribe():
                if self._output.level != MQTT_5:
                    codes = [min(code, ReasonCode(SUBSCRIPTION_REFUSED)) for code in codes]
                answer = packets.SubAck(asked.packet_id, tuple(codes))
            case Unsubscribe():
                answer = packets.UnsubAck(asked.packet_id, tuple(codes))
            case None:
                raise AssertionError("nothing was asked")
        return not is_open or self._output.send(answer)

    def close(self, ending: Ended) -> Ended:
        """Say goodbye, which only MQTT 5 lets a server do (3.14), and give the will back, once.

        It is published at each end but that of a client which left in order [MQTT-3.1.2-8].
        """
        if ending.code is not None and self._output.level == MQTT_5:
            self._output.send_explained(Disconnect(ending.code, self._output.explain(ending.why)))
        will, self._will = self._will, None
        return msgspec.structs.replace(ending, will=will)

    def _acknowledged(self, packet_id: int, now_s: float) -> Acknowledged | None:
        """A client may acknowledge what a session that is gone has sent it: that means nothing any more."""
        message = self.outbound.acknowledge(packet_id)
        dropped = self.outbound.send_on(now_s)
        if message is None and not dropped:
            return None
        return Acknowledged([message] if message is not None else [], dropped)

    def _leave(self, disconnect: Disconnect) -> Ended:
        expiry_s = disconnect.properties.session_expiry_interval
        if expiry_s is not None:
            if expiry_s and not self.session.expiry_interval_s:
                raise ProtocolError("DISCONNECT gives a session an expiry interval that had none", "3.14.2.2.2")
            self.session.expiry_interval_s = min(expiry_s, self._limits.session_expiry_s)
        if disconnect.reason_code == ReasonCode.SUCCESS:
            self._will = None
        return Ended("disconnect")
