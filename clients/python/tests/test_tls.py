from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import grpc
import pytest

from certificates import Authority
from conftest import Connect
from fake_service import FakeService
from pipewright import ApiError
from pipewright.v1 import GetJobRequest

AUTHORITY = Authority()
NAME = "ci.test"


@pytest.fixture(scope="module")
def by_address() -> Iterator[FakeService]:
    """A service with a certificate for its address."""
    certificate, key = AUTHORITY.sign(IPv4Address("127.0.0.1"))
    yield from serving(grpc.ssl_server_credentials([(key, certificate)]))


@pytest.fixture(scope="module")
def by_name() -> Iterator[FakeService]:
    """A service with a certificate for a name."""
    certificate, key = AUTHORITY.sign(NAME)
    yield from serving(grpc.ssl_server_credentials([(key, certificate)]))


@pytest.fixture(scope="module")
def mutual() -> Iterator[FakeService]:
    """A service that requires a client certificate."""
    certificate, key = AUTHORITY.sign(IPv4Address("127.0.0.1"))
    credentials = grpc.ssl_server_credentials([(key, certificate)], AUTHORITY.certificate, True)
    yield from serving(credentials)


def serving(credentials: grpc.ServerCredentials) -> Iterator[FakeService]:
    fake = FakeService(credentials)
    yield fake
    fake.stop()


def call(connect: Connect, service: FakeService, **options: Any) -> None:
    service.on("GetJob", [])
    client = connect(f"https://{service.address}", **options)
    client.call("jobs", "GetJob", GetJobRequest())


def assert_not_trusted(connect: Connect, service: FakeService, **options: Any) -> None:
    calls = len(service.calls)
    with pytest.raises(ApiError) as raised:
        call(connect, service, **options)
    assert raised.value.code is grpc.StatusCode.UNAVAILABLE
    assert len(service.calls) == calls


def test_a_given_authority_is_trusted(connect: Connect, by_address: FakeService) -> None:
    call(connect, by_address, ca_certificate=AUTHORITY.certificate, token="secret")
    assert by_address.calls[-1].metadata["authorization"] == "Bearer secret"


def test_another_authority_is_not(connect: Connect, by_address: FakeService) -> None:
    assert_not_trusted(connect, by_address, ca_certificate=Authority().certificate)
    assert_not_trusted(connect, by_address)


def test_the_authorities_of_the_system_are_trusted(
    connect: Connect, by_address: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "authorities.pem"
    file.write_bytes(AUTHORITY.certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    call(connect, by_address)


def test_the_name_in_the_certificate_may_be_another(connect: Connect, by_name: FakeService) -> None:
    authority = AUTHORITY.certificate
    assert_not_trusted(connect, by_name, ca_certificate=authority)
    assert_not_trusted(connect, by_name, ca_certificate=authority, server_name="other.test")
    call(connect, by_name, ca_certificate=authority, server_name=NAME)


def test_a_client_shows_its_certificate(connect: Connect, mutual: FakeService) -> None:
    certificate, key = AUTHORITY.sign("client.test")
    authority = AUTHORITY.certificate
    assert_not_trusted(connect, mutual, ca_certificate=authority)
    call(
        connect,
        mutual,
        ca_certificate=authority,
        client_certificate=certificate,
        client_key=key,
    )


@pytest.mark.parametrize("one", ["client_certificate", "client_key"])
def test_a_certificate_and_its_key_go_together(connect: Connect, one: str) -> None:
    with pytest.raises(ValueError, match="together"):
        connect("https://ci.test", **{one: b"secret"})


CERTIFICATE, KEY = AUTHORITY.sign("client.test")


@pytest.mark.parametrize("pem", [b"", b"secret", b"\xffsecret", KEY])
def test_authorities_are_pem(connect: Connect, pem: bytes) -> None:
    with pytest.raises(ValueError, match="PEM") as raised:
        connect("https://ci.test", ca_certificate=pem)
    assert type(raised.value) is ValueError
    assert raised.value.__context__ is None
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("certificate", "key"),
    [(b"", KEY), (KEY, KEY), (b"\xff", KEY), (CERTIFICATE, b""), (CERTIFICATE, CERTIFICATE)],
)
def test_a_certificate_and_its_key_are_pem(
    connect: Connect, certificate: bytes, key: bytes
) -> None:
    with pytest.raises(ValueError, match="PEM"):
        connect("https://ci.test", client_certificate=certificate, client_key=key)


@pytest.mark.parametrize(
    "tls",
    [
        {"ca_certificate": b"pem"},
        {"client_certificate": b"pem", "client_key": b"pem"},
        {"server_name": "ci.test"},
    ],
)
def test_tls_options_need_an_https_address(connect: Connect, tls: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="https"):
        connect("http://127.0.0.1:1", **tls)
