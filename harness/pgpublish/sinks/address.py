"""Which addresses a worker may call for somebody else: those of the public Internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Neither private, loopback, link-local, multicast nor reserved, also where an IPv6 address
    embeds an IPv4 one."""
    ip = ip_address(address.split("%")[0])
    return all(a.is_global and not a.is_multicast for a in (ip, *embedded(ip)))


def embedded(ip: IPv4Address | IPv6Address) -> list[IPv4Address]:
    if isinstance(ip, IPv4Address):
        return []
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    if ip in NAT64:
        found.append(IPv4Address(int(ip) & 0xFFFFFFFF))
    return [address for address in found if address is not None]
