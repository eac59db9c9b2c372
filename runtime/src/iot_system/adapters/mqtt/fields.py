"""The data types of MQTT (1.5), from bytes and to bytes."""

from __future__ import annotations

from struct import pack

from iot_system.adapters.mqtt.malformed import MalformedPacket
from iot_system.adapters.mqtt.reasons import ALLOWED, ReasonCode

VARIABLE_LIMIT = 268_435_455
"""The largest variable byte integer: four bytes of seven bits each (1.5.5)."""


class Body:
    """Reads the fields of one packet's body, in their order; every method raises `MalformedPacket`.

    ``packet`` is the packet's name; ``is_v5`` tells whether it has what MQTT 5 adds.
    """

    def __init__(self, packet: str, data: bytes, is_v5: bool) -> None:
        self.packet = packet
        self.is_v5 = is_v5
        self._data = data
        self._at = 0

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._at

    def byte(self, what: str, section: str) -> int:
        return self._take(1, what, section)[0]

    def two(self, what: str, section: str) -> int:
        """A two byte integer (1.5.2)."""
        return int.from_bytes(self._take(2, what, section))

    def four(self, what: str, section: str) -> int:
        """A four byte integer (1.5.3)."""
        return int.from_bytes(self._take(4, what, section))

    def variable(self, what: str) -> int:
        """A variable byte integer (1.5.5), in as few bytes as possible [MQTT-1.5.5-1]."""
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.byte(what, "1.5.5")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if shift and not byte:
                    raise MalformedPacket(f"the {what} of {self.packet} takes more bytes than it needs", "1.5.5")
                return value
        raise MalformedPacket(f"the {what} of {self.packet} takes more than four bytes", "1.5.5")

    def binary(self, what: str, section: str) -> bytes:
        return self._take(self.two(what, section), what, section)

    def text(self, what: str, section: str) -> str:
        return decode_text(self.binary(what, section), f"{what} of {self.packet}")

    def packet_id(self) -> int:
        if packet_id := self.two("packet identifier", "2.2.1"):
            return packet_id
        raise MalformedPacket(f"{self.packet} has the packet identifier 0", "2.2.1")

    def reason_code(self) -> ReasonCode:
        number = self.byte("reason code", "2.4")
        code = ALLOWED[self.packet].get(number)
        if code is None:
            raise MalformedPacket(f"{self.packet} has the reason code 0x{number:02X}", "2.4")
        return code

    def part(self, size: int, what: str, section: str) -> Body:
        """The next ``size`` bytes as fields of their own."""
        return Body(self.packet, self._take(size, what, section), self.is_v5)

    def skip(self) -> None:
        self._at = len(self._data)

    def end(self, section: str) -> None:
        if self.rest:
            raise MalformedPacket(f"{self.packet} has {self.rest} bytes too many", section)

    def _take(self, count: int, what: str, section: str) -> bytes:
        if self.rest < count:
            raise MalformedPacket(f"{self.packet} ends within its {what}", section)
        self._at += count
        return self._data[self._at - count : self._at]


def decode_text(data: bytes, what: str) -> str:
    """UTF-8 as the standard allows it (1.5.4): no surrogates, no U+0000."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MalformedPacket(f"{what} is not valid UTF-8", "1.5.4") from None
    if "\0" in text:
        raise MalformedPacket(f"{what} has the character U+0000", "1.5.4")
    return text


def encode_variable(value: int) -> bytes:
    """A variable byte integer. Raises `ValueError` above `VARIABLE_LIMIT`."""
    if value > VARIABLE_LIMIT:
        raise ValueError(f"a packet or field has {value} bytes; the limit is {VARIABLE_LIMIT}")
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def encode_text(text: str) -> bytes:
    """Raises `ValueError` for more than 65,535 bytes."""
    return encode_binary(text.encode())


def encode_binary(data: bytes) -> bytes:
    """Raises `ValueError` for more than 65,535 bytes."""
    if len(data) > 0xFFFF:
        raise ValueError(f"a field has {len(data)} bytes; the limit is {0xFFFF}")
    return pack(">H", len(data)) + data
