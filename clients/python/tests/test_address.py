from __future__ import annotations

import pytest

from pipewright._address import Address


@pytest.mark.parametrize(
    ("text", "is_tls", "target"),
    [
        ("127.0.0.1:1", False, "ipv4:127.0.0.1:1"),
        ("http://ci.test:2/", False, "dns:///ci.test:2"),
        ("http://ci.test", False, "dns:///ci.test:80"),
        ("ci.test", False, "dns:///ci.test:80"),
        ("[::1]:3", False, "ipv6:[::1]:3"),
        ("https://[2001:db8::1]", True, "ipv6:[2001:db8::1]:443"),
        ("https://ci.test", True, "dns:///ci.test:443"),
        ("https://ci.test:8443/", True, "dns:///ci.test:8443"),
    ],
)
def test_addresses_with_and_without_scheme_and_port(text: str, is_tls: bool, target: str) -> None:
    address = Address.parse(text)
    assert (address.is_tls, address.target) == (is_tls, target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        ":80",
        "a b",
        "ci.test\n",
        "ftp://ci.test",
        "unix:/run/pipewright",
        "https://ci.test/path",
        "https://ci.test?q",
        "https://ci.test#f",
        "ci.test:",
        "ci.test:x",
        "ci.test:65536",
        "::1",
        "[::g]:1",
        "[::1",
        "[1.2.3.4]:5",
    ],
)
def test_invalid_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Address.parse(text)


@pytest.mark.parametrize("text", ["https://me:secret@ci.test", "me:secret@ci.test:1"])
def test_credentials_in_an_address_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="credentials") as raised:
        Address.parse(text)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("LocalHost:1", True),
        ("[::ffff:127.0.0.1]:1", True),
        ("0.0.0.0:1", False),
        ("10.0.0.1:1", False),
        ("[::ffff:10.0.0.1]:1", False),
        ("[2001:db8::1]:1", False),
        ("localhost.test:1", False),
        ("127.0.0.1.test:1", False),
        ("ci.test:1", False),
    ],
)
def test_only_what_cannot_leave_the_machine_is_loopback(text: str, is_loopback: bool) -> None:
    assert Address.parse(text).is_loopback is is_loopback
