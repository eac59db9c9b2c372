"""The images run as pods run them, read-only and without rights, and work with each other; it needs no cluster."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from chart_harness.waiting import wait_until

from ci import images
from ci.engine import Engine
from tests.harness.applied import history
from tests.harness.ledger import Entry, Ledger
from tests.harness.rest import Rest

API, ACTOR_SYSTEM, NATS, POSTGRES = images.IMAGES
LOG = logging.getLogger(__name__)
READY_WITHIN_S = 120.0
LOCALE = "select datlocale from pg_database where datname = current_database()"
TOKEN, PASSWORD = secrets.token_urlsafe(32), secrets.token_urlsafe(16)


@contextmanager
def running(
    containers: Engine, image: images.Image, *arguments: str, options: tuple[str, ...], env: Mapping[str, str]
) -> Iterator[str]:
    """A container of the image, by its identity."""
    confined = ("--read-only", "--tmpfs=/tmp:mode=1777", "--cap-drop=all", "--security-opt=no-new-privileges")
    variables = (f"--env={name}={value}" for name, value in env.items())
    made = containers.run("run", "--detach", *confined, *options, *variables, image.full_name, *arguments).strip()
    try:
        yield made
    finally:
        # Shown where the test fails.
        LOG.warning("%s: %s", image.name, containers.run("logs", made)[-4000:])
        containers.run("rm", "--force", "--volumes", made)


@pytest.fixture
def rest(containers: Engine, tmp_path: Path) -> Iterator[Rest]:
    """The API of a whole system as in values/development.yaml: a database in memory, Ray within one container."""
    config = tmp_path / "nats.conf"
    config.write_text("max_payload: 8MB\njetstream { store_dir: /tmp/data }\n")
    with ExitStack() as stack:
        broker = running(
            *(containers, NATS, "--config=/nats.conf"),
            options=("--publish=127.0.0.1::8000", f"--volume={config}:/nats.conf:ro"),
            env={},
        )
        nats = stack.enter_context(broker)
        network = f"--network=container:{nats}"
        common = {"NATS_URL": "nats://127.0.0.1:4222", "IOT_PARTITIONS": "16"}
        stack.enter_context(
            running(containers, ACTOR_SYSTEM, "streams", options=(network,), env={**common, "HOME": "/tmp"})
        )
        actors = {
            "DATABASE_URL": "sqlite:///:memory:",
            "ACTOR_SYSTEM_ADDRESS": "127.0.0.1",
            "ACTOR_SYSTEM_PORT": "8001",
        }
        ray = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        stack.enter_context(
            running(
                *(containers, ACTOR_SYSTEM, "actor-system"),
                options=(network, "--shm-size=128m"),
                env={**common, **actors, **ray, "DATABASE_URL": "sqlite:///:memory:"},
            )
        )
        api = {**common, "IOT_HTTP_PORT": "8000", "IOT_ADMIN_TOKEN": TOKEN}
        stack.enter_context(running(containers, API, "api", options=(network,), env=api))
        address = containers.run("port", nats, "8000/tcp").split()[0]
        client = Rest(f"http://{address}", TOKEN)
        stack.callback(client.close)
        yield client


def test_a_reading_that_the_api_acknowledges_is_applied_by_the_actor_system(rest: Rest) -> None:
    rest.register("sensor-1", room="hall")
    sent = Entry("sensor-1", "temperature", 1_750_000_000_000, 21.5)
    rest.send(Ledger(), [sent])
    found = wait_until(lambda: list(history(rest, ["sensor-1"])), within_s=READY_WITHIN_S, why="nothing was applied")
    assert found == [sent]


def test_postgres_makes_its_database_and_answers(containers: Engine) -> None:
    writable = ("--volume=/var/run/postgresql", "--volume=/var/lib/postgresql/data")
    env = {"POSTGRES_USER": "iot", "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": "iot"}
    with running(containers, POSTGRES, options=("--network=none", *writable), env=env) as made:
        ask = (
            "exec",
            f"--env=PGPASSWORD={PASSWORD}",
            made,
            "psql",
            "--host=127.0.0.1",
            "--username=iot",
            "--tuples-only",
        )
        wait_until(
            lambda: containers.works(*ask, "--command=select 1"), within_s=READY_WITHIN_S, why="Postgres is silent"
        )
        said = containers.run(*ask, "--command=set timezone to 'Europe/Berlin'", f"--command={LOCALE}")
    assert said.split() == ["SET", "C.UTF-8"]


@pytest.mark.parametrize("program", ["patroni", "pgbackrest", "pg_rewind", "pg_basebackup"])
def test_what_keeps_a_database_safe_finds_its_libraries(containers: Engine, program: str) -> None:
    option = "version" if program == "pgbackrest" else "--version"
    assert containers.run("run", "--rm", "--network=none", "--entrypoint", program, POSTGRES.full_name, option)
