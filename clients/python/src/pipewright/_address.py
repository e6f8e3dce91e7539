"""Addresses of services."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_FORM = re.compile(
    r"(?:(?P<scheme>https?)://)?"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


@dataclass(frozen=True)
class Address:
    """The address of a service: a scheme, a host and a port."""

    is_tls: bool
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parses `https://host:port`, `http://host:port` or `host:port`; the port may be absent.

        Raises ValueError, which does not repeat the text: it may contain credentials.
        """
        form = _FORM.fullmatch(text)
        if form is None:
            raise ValueError(
                "an address is https://host:port, http://host:port or host:port, "
                "without a path, a query or credentials"
            )
        is_tls = form["scheme"] == "https"
        port = int(form["port"] or (443 if is_tls else 80))
        if port > 65535:
            raise ValueError(f"a port is at most 65535, not {port}")
        if form["ipv6"]:
            return cls(is_tls, str(ipaddress.IPv6Address(form["ipv6"])), port)
        return cls(is_tls, form["name"], port)

    @property
    def target(self) -> str:
        """The address in gRPC's form.

        A name is looked up; an IP address is used as it is, so that gRPC does not limit how
        often it reconnects, as it does with look-ups.
        """
        match self._ip:
            case ipaddress.IPv6Address():
                return f"ipv6:[{self.host}]:{self.port}"
            case ipaddress.IPv4Address():
                return f"ipv4:{self.host}:{self.port}"
        return f"dns:///{self.host}:{self.port}"

    @property
    def host_port(self) -> str:
        """The host and the port, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether calls stay on this machine."""
        match self._ip:
            case ipaddress.IPv6Address(ipv4_mapped=ipaddress.IPv4Address() as mapped):
                return mapped.is_loopback
            case None:
                return self.host.lower() == "localhost"
            case ip:
                return ip.is_loopback

    @property
    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None
