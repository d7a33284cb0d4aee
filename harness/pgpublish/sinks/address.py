"""Which addresses a worker may call for somebody else: those of the public Internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA gives out; what is beside it is special
OF_IPV4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))  # mapped, and NAT64


def is_public(address: str) -> bool:
    """Neither private, loopback, link-local, multicast nor reserved, also where an IPv6 address
    stands for an IPv4 one."""
    ip = ip_address(address.split("%")[0])
    if any(ip in network for network in OF_IPV4):
        ip = IPv4Address(int(ip) & 0xFFFFFFFF)
    if isinstance(ip, IPv6Address):
        if ip not in GLOBAL_UNICAST:
            return False
        if ip.sixtofour is not None and not is_public(str(ip.sixtofour)):
            return False
    return ip.is_global and not ip.is_multicast
