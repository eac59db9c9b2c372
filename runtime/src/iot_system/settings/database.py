"""The database: where it is, who migrates it, and its TLS."""

from __future__ import annotations

from typing import Annotated

import msgspec

from iot_system.errors import InvalidSetting
from iot_system.settings.checks import check_pair
from iot_system.settings.environment import env

DatabaseUrl = Annotated[
    str, env("DATABASE_URL", missing="give postgresql://…, sqlite:///FILE, or sqlite:///:memory: to keep nothing")
]


class DatabaseTlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Files (PEM) of TLS with Postgres: with ``ca`` its certificate and name are verified, or nothing is sent."""

    ca: Annotated[str | None, env("DATABASE_TLS_CA")] = None
    certificate: Annotated[str | None, env("DATABASE_TLS_CERTIFICATE")] = None
    key: Annotated[str | None, env("DATABASE_TLS_KEY")] = None

    def __post_init__(self) -> None:
        check_pair("DATABASE_TLS", self.certificate, self.key)
        if self.certificate is not None and self.ca is None:
            raise InvalidSetting("DATABASE_TLS_CERTIFICATE needs DATABASE_TLS_CA: who signed the server's certificate")


class DatabaseRoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who migrates, beside the user of `DATABASE_URL`: without ``owner_url`` that one does everything.

    The administrator makes the roles, where there is one; otherwise the owner does.
    """

    owner_url: Annotated[str | None, env("DATABASE_OWNER_URL")] = None
    reader_url: Annotated[str | None, env("DATABASE_READER_URL")] = None
    admin_user: Annotated[str | None, env("DATABASE_ADMIN_USER")] = None
    admin_password: Annotated[str | None, env("DATABASE_ADMIN_PASSWORD")] = None

    def __post_init__(self) -> None:
        if (self.admin_user is None) != (self.admin_password is None):
            raise InvalidSetting("DATABASE_ADMIN_USER and DATABASE_ADMIN_PASSWORD belong together: set both, or none")
