"""``iot-system migrate`` for Postgres: roles, then the schema, then what the roles may do."""

from __future__ import annotations

from iot_system.adapters.postgres import schema
from iot_system.adapters.postgres.database import Database
from iot_system.adapters.postgres.roles import Role, hand_over, make_role, role_of
from iot_system.adapters.postgres.server import DATABASE_URL
from iot_system.errors import InvalidSetting
from iot_system.settings import DatabaseRoleSettings, DatabaseTlsSettings

OWNER_URL, READER_URL = "DATABASE_OWNER_URL", "DATABASE_READER_URL"
_LOCK = 0x696F7403
"""Advisory lock: one process at a time makes roles."""


async def migrate(url: str, tls: DatabaseTlsSettings, roles: DatabaseRoleSettings) -> None:
    """Bring everything up to date. Whoever has ``url`` owns all of it where ``roles`` name no owner.

    Raises `Unavailable` where the database does not answer, and `InvalidSetting` for a URL without user or password,
    for a role that is missing and cannot be made, and where the schema is newer than ours.
    """
    if roles.owner_url is None:
        await schema.migrate(Database(url, tls))
        return
    owner = role_of("owner", roles.owner_url, OWNER_URL)
    runtime = role_of("runtime", url, DATABASE_URL)
    reader = role_of("reader", roles.reader_url, READER_URL) if roles.reader_url else None
    users = [runtime, reader] if reader else [runtime]
    _check_differ([owner, *users])
    if roles.admin_user is None or roles.admin_password is None:
        await _make(Database(roles.owner_url, tls, setting=OWNER_URL), users)
    else:
        login = {"user": roles.admin_user, "password": roles.admin_password}
        admin = Database(roles.owner_url, tls, setting=OWNER_URL, login=login)
        await _make(admin, [owner, *users], owner=owner.name)
    await schema.migrate(
        Database(roles.owner_url, tls, setting=OWNER_URL), runtime=runtime.name, reader=reader.name if reader else None
    )


async def _make(database: Database, roles: list[Role], *, owner: str | None = None) -> None:
    """Make ``roles``, and hand everything over to ``owner``."""
    async with database.migrating() as connection:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)  # until this connection ends
        for role in roles:
            await make_role(connection, role)
        if owner is not None:
            await hand_over(connection, owner)


def _check_differ(roles: list[Role]) -> None:
    names = [role.name for role in roles]
    if twice := sorted(name for name in set(names) if names.count(name) > 1):
        kinds = " and ".join(role.kind for role in roles if role.name == twice[0])
        raise InvalidSetting(f"{twice[0]!r} is {kinds} of the database at once: each has a user of its own")
