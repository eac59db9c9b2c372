"""Which store a URL names, and what is said of one that names none."""

from __future__ import annotations

from typing import Any

import pytest
from iot_system.adapters.postgres.server import server_of, user_of
from iot_system.adapters.stores import is_in_memory, migrate_store, open_store
from iot_system.errors import InvalidSetting
from iot_system.services.actor_system import ActorSystem
from iot_system.settings import ActorSystemSettings, ShardSettings


@pytest.mark.parametrize(
    "url", ["", "sqlite://", "sqlite:///", "mysql://u:xyz-secret@h/d", "xyz-secret", "sqlite:/file", "Postgresql://h/d"]
)
async def test_what_names_no_store_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"DATABASE_URL is neither postgresql://") as opening:
        open_store(url)
    with pytest.raises(InvalidSetting, match=r"DATABASE_URL is neither postgresql://") as migrating:
        await migrate_store(url)
    assert "xyz-secret" not in f"{opening.value} {migrating.value}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:xyz/secret@h:5432/d",
        "postgresql://u:xyz#secret@h/d",
        "postgresql://u:xyz?secret@h/d",
        "postgresql://u:secret@h:port/d",
        "postgresql://u:secret@/d",
        "postgresql://u:secret@[::1/d",
        "postgresql://u:secret@h h/d",
        "postgresql:///d",
    ],
)
def test_a_server_that_cannot_be_told_from_the_password_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match=r"a slash is %2F") as refused:
        open_store(url)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("postgresql://u:p@host:6432/d?sslmode=require", "host:6432"),
        ("postgres://u:p%2F%40@10.0.0.1/d", "10.0.0.1:5432"),
        ("postgresql://u:p@[::1]:5433/d", "[::1]:5433"),
        ("postgresql://u:p@ss@host/d", "host:5432"),
        ("postgresql://u:p@pg-0.pg:5432,pg-1.pg/d?target_session_attrs=read-write", "pg-0.pg:5432,pg-1.pg:5432"),
    ],
)
def test_a_server_is_named_by_host_and_port(url: str, server: str) -> None:
    assert server_of(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://the%20one:p%2F%40@host/d",
        "postgresql://the%20one:p%2F%40@pg-0.pg:5432,pg-1.pg/d?target_session_attrs=read-write",
    ],
)
def test_a_url_names_its_user(url: str) -> None:
    assert user_of(url, "DATABASE_URL") == ("the one", "p/@")


def test_only_memory_is_in_memory() -> None:
    assert is_in_memory("sqlite:///:memory:")
    assert not is_in_memory("sqlite:///iot.db")
    assert not is_in_memory("postgresql://h/d")


@pytest.mark.parametrize("settings", [{"shards_per_node": 2}, {"ray_address": "ray-head:6379"}])
def test_memory_that_several_shards_would_have_to_share_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match="which no two shards share"):
        ActorSystem(ActorSystemSettings(shard=ShardSettings(database_url="sqlite:///:memory:"), **settings))
