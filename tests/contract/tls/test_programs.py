"""The commands that the chart runs against its own interfaces: whom they trust is the file that SSL_CERT_FILE names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from iot_system.__main__ import main
from iot_system.client import IotClient
from iot_system.errors import Unavailable
from iot_system.settings import HttpTlsSettings, MqttTlsSettings

from tests.harness.certificates import Authority
from tests.harness.system import ADMIN_TOKEN, Pod, running_system


@pytest.fixture
async def pod(ours: Authority, tmp_path: Path) -> AsyncIterator[Pod]:
    shown = ours.server()
    tls = {
        "http_tls": HttpTlsSettings(certificate=shown.certificate, key=shown.key),
        "mqtt_tls": MqttTlsSettings(port=0, certificate=shown.certificate, key=shown.key, plain="off"),
    }
    async with running_system(tmp_path, tls=tls, trust=ours.context()) as system:
        yield system.pod


async def test_an_installation_is_checked_by_tls_alone(
    pod: Pod, ours: Authority, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ours.ca)
    monkeypatch.setenv("IOT_ADMIN_TOKEN", ADMIN_TOKEN)
    words = ["check", "--url", pod.url, "--mqtt", f"mqtts://localhost:{pod.mqtt_tls_port}"]
    assert await asyncio.to_thread(main, words) == 0, capsys.readouterr().err
    assert "sent a reading by MQTT, acknowledged" in capsys.readouterr().out


async def test_an_interface_of_another_ca_is_told_no_token(
    pod: Pod, other: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", other.ca)
    async with IotClient(pod.url, ADMIN_TOKEN, patience_s=0.1) as iot:
        with pytest.raises(Unavailable, match="certificate verify failed"):
            await iot.twins.get("nobody")
