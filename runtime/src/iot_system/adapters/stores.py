"""The store that a URL names."""

from __future__ import annotations

from iot_system.adapters.postgres import migration
from iot_system.adapters.postgres.database import NO_TLS
from iot_system.adapters.postgres.store import PostgresStore
from iot_system.adapters.sqlite.database import MEMORY
from iot_system.adapters.sqlite.store import SqliteStore
from iot_system.errors import InvalidSetting
from iot_system.ports.store import Store
from iot_system.settings import DatabaseRoleSettings, DatabaseTlsSettings

ONE_ROLE = DatabaseRoleSettings()
_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgres://")


def open_store(url: str, tls: DatabaseTlsSettings = NO_TLS) -> Store:
    """Return the store, not started yet. Raises `InvalidSetting` for a URL that names none, and for bad files."""
    if url.startswith(_POSTGRES):
        return PostgresStore(url, tls)
    return SqliteStore(_path(url))


async def migrate_store(url: str, tls: DatabaseTlsSettings = NO_TLS, roles: DatabaseRoleSettings = ONE_ROLE) -> None:
    """Bring the schema up to date, once, and ``roles`` each time.

    Raises `Unavailable` where the database does not answer, `InvalidSetting` where it does not fit. SQLite brings its
    own schema whenever it starts, and has no roles.
    """
    if url.startswith(_POSTGRES):
        await migration.migrate(url, tls, roles)
    else:
        _path(url)


def is_in_memory(url: str) -> bool:
    """Whether everything ends with the process: each store that is opened then has a memory of its own."""
    return url == f"{_SQLITE}{MEMORY}"


def _path(url: str) -> str:
    path = url.removeprefix(_SQLITE)
    if path in ("", url):
        # What was given may bear a password.
        raise InvalidSetting("DATABASE_URL is neither postgresql://… nor sqlite:///FILE nor sqlite:///:memory:")
    return path
