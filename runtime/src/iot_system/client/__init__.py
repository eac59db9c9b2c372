"""The client library: people's and programs' side over REST, the device's side over MQTT. Async and typed.

Imports the domain's values and the errors, and nothing else of the system.
"""

from iot_system.client.client import IotClient
from iot_system.client.device import DeviceConnection
from iot_system.client.devices import NewDevice
from iot_system.client.inbox import DesiredState, DeviceCommand
from iot_system.client.problems import SystemFault
from iot_system.client.telemetry import Message, Refused, Sent

__all__ = [
    "DesiredState",
    "DeviceCommand",
    "DeviceConnection",
    "IotClient",
    "Message",
    "NewDevice",
    "Refused",
    "Sent",
    "SystemFault",
]
