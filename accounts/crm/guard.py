"""Which addresses connections may reach: the public internet, and what the administrator of the server named.

A name is resolved once, every address it stands for is checked, and the connection then goes to that very address, so a
name that answers differently the next moment gains nothing. Numbers in any spelling (decimal, octal, IPv6 with an IPv4
address inside) are judged by the address they stand for.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from accounts.crm.errors import AddressRefused, TryLater

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def pinned_address(host: str, port: int, allowed: Sequence[str] = ()) -> str:
    """The address to connect to for `host`. AddressRefused when any that it stands for must not be reached."""
    name = host.strip("[]").rstrip(".").lower()
    if not name:
        raise AddressRefused("The address names no host.")
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as problem:
        raise TryLater(f"{host} cannot be found ({problem}).", 60) from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).split("%")[0]) for entry in found]
    for address in addresses:
        if not is_reachable(name, address, allowed):
            raise AddressRefused(
                f"{host} is inside a private network; if it is yours, add it to MAINSTAY_CRM_PRIVATE_HOSTS."
            )
    return str(addresses[0])


def is_reachable(name: str, address: Address, allowed: Sequence[str]) -> bool:
    """Whether an address is public, or named (itself, or its host unless link-local) by the administrator."""
    address = _inner(address)
    if address.is_global and not address.is_multicast and not address.is_reserved:
        return True
    if any(_contains(network, address) for network in allowed):
        return True
    return not address.is_link_local and name in {entry.lower() for entry in allowed}


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address carries, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _contains(network: str, address: Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def check_url(url: str, allowed: Sequence[str] = ()) -> tuple[str, int]:
    """Host and port of an address a person typed. AddressRefused unless it is https (http only to hosts the
    administrator named), without a user name in it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressRefused("That is no address.") from None
    if parts.scheme not in {"https", "http"} or not host:
        raise AddressRefused("An address begins with https://.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("An address must not contain a user name or password.")
    port = port or (443 if parts.scheme == "https" else 80)
    pinned = pinned_address(host, port, allowed)
    if parts.scheme == "http" and is_reachable(host, ipaddress.ip_address(pinned), ()):
        raise AddressRefused("Only https is spoken over the internet.")
    return host, port
