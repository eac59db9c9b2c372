"""What tests of questions ask, and about whom."""

from __future__ import annotations

from typing import Any

import msgspec
from iot_system.domain import questions as q
from iot_system.domain.commands import Command

from tests.unit.services.simulated_loop import SimulatedClock
from tests.unit.services.system import System, ids_of

DEVICE, OTHER = ids_of(0)[:2]
ROOM = ids_of(1, "room")[0]


async def ask(system: System, question: q.Question, result: Any = Any) -> Any:
    """Ask whoever owns the actor that the question is about."""
    match question:
        case q.PutCommand(command=thing) | q.AddCredential(credential=thing):
            id_ = thing.device
        case q.PutRoom(room):
            id_ = room.id
        case q.CancelCommand(device=id_) | q.GetCommand(device=id_) | q.TakeCommands(id_) | q.DeleteCredential(id_):
            pass
        case _:
            id_ = question.id  # type: ignore[union-attr]
    return await system.asking.ask_owner(id_, question, result)


def command(id_: str, device: str = DEVICE, **fields: Any) -> Command:
    begin_us = SimulatedClock.EPOCH_US
    end_us = begin_us + 3_600_000_000
    plain = Command(id=id_, device=device, name="open", created_us=begin_us, updated_us=begin_us, expires_us=end_us)
    return msgspec.structs.replace(plain, **fields)
