"""A device's certificate as its credential, over MQTT, REST and WebSocket of the whole system."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest
from chart_harness.waiting import until
from iot_system.domain.certificates import DEVICE_URI
from iot_system.settings import DeviceCertificateSettings, HttpTlsSettings, MqttTlsSettings

from tests.harness.certificates import Authority, Signed
from tests.harness.system import Pod, running_system

REVOKED_WITHIN_S = 5.0
SHORT_S = 10
"""For which a certificate is valid: long enough to connect with it on a slow machine."""
TELEMETRY = "v1/devices/me/telemetry"


def settings(ours: Authority, revoked: Path, *, http: str = "optional") -> dict[str, Any]:
    shown = ours.server()
    return {
        "http_tls": HttpTlsSettings(certificate=shown.certificate, key=shown.key, client_certificates=http),  # type: ignore[arg-type]
        "mqtt_tls": MqttTlsSettings(
            port=0, certificate=shown.certificate, key=shown.key, client_certificates="optional", plain="off"
        ),
        "devices": DeviceCertificateSettings(ca=ours.ca, revoked=str(revoked)),
    }


@pytest.fixture
def revoked(tmp_path: Path) -> Path:
    path = tmp_path / "revoked"
    path.write_text("# none yet\n")
    return path


@pytest.fixture
async def pod(ours: Authority, revoked: Path, tmp_path: Path) -> AsyncIterator[Pod]:
    async with running_system(tmp_path, tls=settings(ours, revoked), trust=ours.context()) as system:
        for id_ in ("one", "two"):
            assert (await system.pod.admin.post("/v1/devices", json={"id": id_})).status_code == 201
        yield system.pod


def write(path: Path, text: str) -> None:
    path.write_text(text)


def mqtt(pod: Pod, context: ssl.SSLContext, **credentials: Any) -> aiomqtt.Client:
    return aiomqtt.Client(
        "localhost", pod.mqtt_tls_port, tls_context=context, protocol=aiomqtt.ProtocolVersion.V5, **credentials
    )


async def refused(pod: Pod, context: ssl.SSLContext, **credentials: Any) -> str:
    with pytest.raises(aiomqtt.MqttError) as error:
        async with mqtt(pod, context, **credentials):
            pass
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "uris"),
    [
        ("one", ()),
        ("Sensor of the kitchen", (f"{DEVICE_URI}one",)),
        ("two", ("https://example.org", f"{DEVICE_URI}one")),
    ],
    ids=["common name", "URI", "the URI before the name"],
)
async def test_a_device_is_let_in_by_its_certificate_alone(
    pod: Pod, ours: Authority, name: str, uris: Sequence[str]
) -> None:
    context = ours.context(ours.client(name, uris=uris))
    async with mqtt(pod, context) as client:
        await client.publish(TELEMETRY, '{"value": 1}', qos=1)
    async with pod.client(None, shows=context) as client:
        assert (await client.get("/v1/devices/me")).json()["id"] == "one"
        assert (await client.get("/v1/devices/two")).status_code == 403


async def test_mqtt_over_websocket_takes_the_certificate_too(pod: Pod, ours: Authority) -> None:
    port = httpx.URL(pod.url).port or 0
    context = ours.context(ours.client("one"))
    async with aiomqtt.Client(
        "localhost", port, transport="websockets", websocket_path="/mqtt", tls_context=context
    ) as client:
        await client.publish(TELEMETRY, '{"value": 2}', qos=1)


async def test_what_a_certificate_does_not_say_is_refused(pod: Pod, ours: Authority) -> None:
    assert "Not authorized" in await refused(pod, ours.context(ours.client("nobody-we-know")))
    assert "Not authorized" in await refused(pod, ours.context(ours.client("a name with spaces")))
    assert "Not authorized" in await refused(pod, ours.context(ours.client("one")), username="two")
    assert "user name or password" in await refused(pod, ours.context())
    async with pod.client(None, shows=ours.context(ours.client("nobody-we-know"))) as client:
        answer = await client.get("/v1/devices/me")
        assert (answer.status_code, answer.json()["detail"]) == (
            401,
            "device 'nobody-we-know' of the certificate is not registered",
        )


async def test_a_token_says_who_it_is_and_must_fit_the_certificate(pod: Pod, ours: Authority) -> None:
    token = await pod.token_of("one")
    fitting, foreign = ours.context(ours.client("one")), ours.context(ours.client("two"))
    async with mqtt(pod, fitting, username="one", password=token) as client:
        await client.publish(TELEMETRY, '{"value": 3}', qos=1)
    assert "Not authorized" in await refused(pod, foreign, username="one", password=token)
    async with pod.client(token, shows=foreign) as client:
        assert (await client.get("/v1/devices/me")).status_code == 403
    async with pod.client("wrong.token", shows=fitting) as client:
        assert (await client.get("/v1/devices/me")).status_code == 401


async def ended(client: aiomqtt.Client) -> None:
    """Return when the server has closed the connection."""
    with pytest.raises(aiomqtt.MqttError):
        async for _ in client.messages:
            pass


async def test_a_revoked_serial_number_ends_what_is_open_and_lets_nobody_in(
    pod: Pod, ours: Authority, revoked: Path
) -> None:
    bad, good = ours.client("one"), ours.client("one")
    async with mqtt(pod, ours.context(good), identifier="good") as other:
        client = mqtt(pod, ours.context(bad), identifier="bad")
        await client.__aenter__()
        write(revoked, f"# stolen\n{bad.serial.lower()}  # of the kitchen\n")
        async with asyncio.timeout(REVOKED_WITHIN_S):
            await ended(client)
        assert "Not authorized" in await refused(pod, ours.context(bad))
        await other.publish(TELEMETRY, '{"value": 4}', qos=1)


async def test_disabling_the_device_ends_what_its_certificate_opened(pod: Pod, ours: Authority) -> None:
    client = mqtt(pod, ours.context(ours.client("one")))
    await client.__aenter__()
    assert (await pod.admin.patch("/v1/devices/one", json={"enabled": False})).status_code == 200
    async with asyncio.timeout(REVOKED_WITHIN_S):
        await ended(client)
    assert "Not authorized" in await refused(pod, ours.context(ours.client("one")))


async def test_a_connection_ends_with_its_certificate(pod: Pod, ours: Authority) -> None:
    client = mqtt(pod, ours.context(ours.client("one", ends=timedelta(seconds=SHORT_S))))
    await client.__aenter__()
    async with asyncio.timeout(SHORT_S + REVOKED_WITHIN_S):
        await ended(client)


async def test_a_list_that_cannot_be_read_leaves_the_last_one(pod: Pod, ours: Authority, revoked: Path) -> None:
    bad: Signed = ours.client("one")
    write(revoked, f"{bad.serial}\n")
    async with pod.client(None, shows=ours.context(bad)) as client:

        async def is_refused() -> bool:
            return (await client.get("/v1/devices/me")).status_code == 401

        await until(is_refused, within_s=REVOKED_WITHIN_S)
        write(revoked, "no number\n")
        loop = asyncio.get_running_loop()
        end_s = loop.time() + 3.0  # longer than it takes until the file is looked at
        while loop.time() < end_s:
            assert await is_refused()


async def test_where_certificates_are_required_probes_alone_go_without(
    ours: Authority, revoked: Path, tmp_path: Path
) -> None:
    tls = settings(ours, revoked, http="required")
    async with running_system(tmp_path, tls=tls, trust=ours.context(ours.client("a person"))) as system:
        pod = system.pod
        assert (await pod.admin.get("/v1/devices")).status_code == 200
        async with pod.client("whatever", shows=ours.context()) as client:
            for path in ("/health", "/ready", "/metrics"):
                assert (await client.get(path)).status_code == 200
            for path in ("/v1/devices", "/mqtt", "/v1/openapi.json"):
                answer = await client.get(path)
                assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(
                "localhost",
                httpx.URL(pod.url).port or 0,
                transport="websockets",
                websocket_path="/mqtt",
                tls_context=ours.context(),
                timeout=10,
            ):
                pass
