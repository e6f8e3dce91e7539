from __future__ import annotations

import pytest

import pipewright
from certificates import Authority
from conftest import Connect
from fake_service import FakeService
from pipewright._credentials import authorization
from pipewright._endpoint import Tls, endpoint
from pipewright.v1 import GetJobRequest, WatchJobRequest

ALADDIN = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        ({"token": "t0k-_.~+/="}, "Bearer t0k-_.~+/="),
        ({"username": "Aladdin", "password": "open sesame"}, ALADDIN),
    ],
)
def test_each_call_carries_the_credentials(
    connect: Connect, service: FakeService, credentials: dict[str, str], header: str
) -> None:
    client = connect(service.address, **credentials)
    service.on("GetJob", [])
    client.call("jobs", "GetJob", GetJobRequest(), metadata=(("x-mine", "kept"),))
    service.on("WatchJob", [])
    assert list(client.stream("jobs", "WatchJob", WatchJobRequest())) == []
    assert [call.metadata["authorization"] for call in service.calls] == [header, header]
    assert service.calls[0].metadata["x-mine"] == "kept"


def test_a_caller_without_credentials_sends_none(connect: Connect, service: FakeService) -> None:
    service.on("GetJob", [])
    connect(service.address).call("jobs", "GetJob", GetJobRequest())
    assert "authorization" not in service.calls[0].metadata


def test_names_and_passwords_may_have_letters_of_all_languages() -> None:
    assert authorization(username="test", password="123£") == "Basic dGVzdDoxMjPCow=="


@pytest.mark.parametrize(
    "credentials",
    [
        {"token": ""},
        {"token": "secret secret"},
        {"token": "secret\n"},
        {"token": "sécret"},
        {"username": "a:b", "password": "secret"},
        {"username": "", "password": "secret"},
        {"username": "a", "password": "secret\n"},
        {"username": "a", "password": "secret\udcff"},
        {"username": "secret\udcff", "password": "a"},
        {"token": "secret\udcff"},
        {"username": "a"},
        {"password": "secret"},
        {"token": "secret", "username": "a", "password": "secret"},
    ],
)
def test_invalid_credentials_are_reported_and_not_repeated(
    connect: Connect, credentials: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match=r".+") as raised:
        connect("127.0.0.1:1", **credentials)
    assert type(raised.value) is ValueError
    assert raised.value.__context__ is None
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize("address", ["ci.test:1", "http://10.0.0.1", "http://localhost.test"])
def test_credentials_do_not_cross_a_network_in_plaintext(connect: Connect, address: str) -> None:
    with pytest.raises(ValueError, match="in plaintext") as raised:
        connect(address, token="secret")
    assert "secret" not in str(raised.value)
    connect(address)
    connect(address, token="secret", insecure=True)


@pytest.mark.parametrize(
    "address",
    ["localhost:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "https://ci.test"],
)
def test_credentials_may_stay_on_the_machine_or_be_encrypted(
    connect: Connect, address: str
) -> None:
    connect(address, token="secret")


def test_no_secret_is_shown() -> None:
    authority = Authority()
    certificate, key = authority.sign("secret.test")
    made = endpoint(
        "https://ci.test",
        token="secret",
        username=None,
        password=None,
        tls=Tls(authority.certificate, certificate, key, "secret.test"),
        insecure=False,
        timeout=1,
    )
    with pipewright.connect("https://ci.test", token="secret") as client:
        shown = f"{made!r} {made} {client!r} {client} {vars(client)}"
    assert "secret" not in shown.replace("secret.test", "")
    assert "PRIVATE KEY" not in shown


def test_calls_to_loopback_ignore_proxies(
    connect: Connect, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("grpc_proxy", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    service.on("GetJob", [])
    connect(service.address, token="secret").call("jobs", "GetJob", GetJobRequest())
    assert len(service.calls) == 1
