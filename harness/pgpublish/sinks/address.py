"""What each address is: of the public Internet, of a private network, or special.

After IANA's registries of special-purpose addresses, written out, as what a library calls private
or global changes with its version; and the addresses at which clouds answer everybody.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Nature = Literal["public", "private", "special"]

PRIVATE = {
    "10.0.0.0/8": "private use",
    "172.16.0.0/12": "private use",
    "192.168.0.0/16": "private use",
    "100.64.0.0/10": "shared by a provider's customers",
    "127.0.0.0/8": "this machine",
    "::1/128": "this machine",
    "fc00::/7": "private use",
}
# These come first: some are inside a private network.
SPECIAL = {
    "169.254.0.0/16": "this link; metadata of most clouds",
    "168.63.129.16/32": "metadata of Azure",
    "100.100.100.200/32": "metadata of Alibaba Cloud",
    "192.0.0.0/24": "protocol assignments; metadata of Oracle Cloud at 192.0.0.192",
    "fd00:ec2::/32": "metadata of AWS",
    "fd20:ce::254/128": "metadata of Google Cloud",
    "fd00:42::42/128": "metadata of Scaleway",
    "0.0.0.0/8": "this network; 0.0.0.0 reaches this machine",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "6to4 relays, deprecated",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved, and broadcast",
    "::/128": "no address",
    "64:ff9b:1::/48": "NAT64 of a local network",
    "100::/64": "discard",
    "2001::/23": "protocol assignments, Teredo and ORCHID among them",
    "2001:db8::/32": "documentation",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing",
    "fe80::/10": "this link",
    "fec0::/10": "site-local, deprecated",
    "ff00::/8": "multicast",
}
GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA gives out; what is not in it is special
OF_IPV4 = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))  # mapped, and NAT64
_private = [ip_network(text) for text in PRIVATE]
_special = [ip_network(text) for text in SPECIAL]


def parse(address: str) -> Address:
    """The address that a packet would reach: an IPv4 one where an IPv6 one stands for it. Raises
    ValueError for a name."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv4Address):
        return ip
    if any(ip in network for network in OF_IPV4):
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour or ip


def nature(ip: Address) -> Nature:
    if any(ip in network for network in _special):
        return "special"
    if any(ip in network for network in _private):
        return "private"
    return "public" if isinstance(ip, IPv4Address) or ip in GLOBAL_UNICAST else "special"


def is_public(address: str) -> bool:
    return nature(parse(address)) == "public"
