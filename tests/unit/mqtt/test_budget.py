"""Nobody reads on while too much is in flight, everybody does when it is durable."""

from __future__ import annotations

from iot_system.adapters.mqtt.budget import Budget


def test_who_waits_is_called_once_when_there_is_room_again() -> None:
    budget, called = Budget(100), list[str]()
    one, other, gone = (lambda: called.append("one")), (lambda: called.append("other")), (lambda: called.append("gone"))
    budget.take(60)
    spent = [budget.is_spent]
    budget.take(60)
    spent.append(budget.is_spent)
    assert spent == [False, True]
    for waiting in (one, other, one, gone):
        budget.wait(waiting)
    budget.forget(gone)
    budget.give_back(10)
    assert called == []
    budget.give_back(50)
    assert called == ["one", "other"]
    budget.give_back(60)
    assert called == ["one", "other"]
