"""The connection options of a service."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass

import grpc

from ._address import Address
from ._backoff import FIRST, LONGEST
from ._calls import CallDefaults
from ._credentials import authorization

Option = tuple[str, int | str]

_STREAM_WINDOW = 64 * 1024
_CONNECT_TIMEOUT = 5.0
_KEEPALIVE = 30.0
_KEEPALIVE_TIMEOUT = 20.0


_KEY = re.compile(
    rb"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----\s[A-Za-z0-9+/=\s]+-----END ([A-Z]+ )?PRIVATE KEY-----"
)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", _milliseconds(_KEEPALIVE)),
    ("grpc.keepalive_timeout_ms", _milliseconds(_KEEPALIVE_TIMEOUT)),
    # This ends the connection; the option above alone leaves it at a minute (grpcio 1.85).
    ("grpc.http2.ping_timeout_ms", _milliseconds(_KEEPALIVE_TIMEOUT)),
    ("grpc.keepalive_permit_without_calls", 0),
    # Without this, gRPC stops its pings on a silent stream after two.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", _milliseconds(FIRST)),
    ("grpc.max_reconnect_backoff_ms", _milliseconds(LONGEST)),
    # Despite its name, the time limit of one attempt to connect.
    ("grpc.min_reconnect_backoff_ms", _milliseconds(_CONNECT_TIMEOUT)),
    ("grpc.http2.lookahead_bytes", _STREAM_WINDOW),
    # It would make the window of a stream larger.
    ("grpc.http2.bdp_probe", 0),
)


@dataclass(frozen=True)
class Tls:
    """Authentication of the service and the client; certificates and keys are PEM."""

    ca_certificate: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("a client certificate and its key are given together")

    def credentials(self) -> grpc.ChannelCredentials:
        """Converts it for gRPC; raises ValueError, which repeats no key, for invalid PEM.

        gRPC would trust its own authorities instead of none, and report other errors only when
        it connects.
        """
        if self.ca_certificate is not None and not _are_certificates(self.ca_certificate):
            raise ValueError("the CA certificate is no PEM of certificates")
        if self.client_certificate is not None and not _are_certificates(self.client_certificate):
            raise ValueError("the client certificate is no PEM of certificates")
        if self.client_key is not None and not _KEY.search(self.client_key):
            raise ValueError("the client key is no PEM of a private key without a password")
        authorities = self.ca_certificate
        return grpc.ssl_channel_credentials(
            root_certificates=_system_authorities() if authorities is None else authorities,
            private_key=self.client_key,
            certificate_chain=self.client_certificate,
        )

    def __repr__(self) -> str:
        return f"Tls(server_name={self.server_name!r})"


@dataclass(frozen=True)
class Endpoint:
    """A service, and the common settings of calls to it."""

    target: str
    credentials: grpc.ChannelCredentials | None
    options: tuple[Option, ...]
    defaults: CallDefaults


def endpoint(
    address: str,
    *,
    token: str | None,
    username: str | None,
    password: str | None,
    tls: Tls,
    insecure: bool,
    timeout: float,
) -> Endpoint:
    """Checks the arguments of `connect`; raises ValueError for invalid ones."""
    place = Address.parse(address)
    header = authorization(token, username, password)
    if header and not (place.is_tls or place.is_loopback or insecure):
        raise ValueError(
            f"credentials would cross the network in plaintext to {place.host}; "
            "use https, or insecure=True if the network is trusted"
        )
    if tls != Tls() and not place.is_tls:
        raise ValueError("certificates and a server name need an address with https")
    if not timeout > 0:
        raise ValueError("a timeout is positive")
    return Endpoint(
        place.target,
        tls.credentials() if place.is_tls else None,
        _options(place, tls),
        CallDefaults(timeout, header, place.host_port),
    )


def _options(place: Address, tls: Tls) -> tuple[Option, ...]:
    options: tuple[Option, ...] = OPTIONS
    if place.is_loopback:
        # A proxy would take "loopback" for itself, and get the credentials in plaintext.
        options += (("grpc.enable_http_proxy", 0),)
    if tls.server_name:
        options += (("grpc.ssl_target_name_override", tls.server_name),)
    return options


def _are_certificates(pem: bytes) -> bool:
    # Checked before it is decoded: a decoding error would contain what may be a key.
    if not pem or not pem.isascii():
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode())
    except ssl.SSLError:
        return False
    return True


def _system_authorities() -> bytes | None:
    """The certificates that this system trusts; gRPC's default is those that it ships.

    None, which keeps gRPC's default, if Python finds no file of them.
    """
    trusted = ssl.create_default_context().get_ca_certs(binary_form=True)
    return "".join(map(ssl.DER_cert_to_PEM_cert, trusted)).encode() or None
