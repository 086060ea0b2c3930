"""The addresses where clouds hand out a machine's own credentials: nobody may reach them through the proxy."""

import ipaddress
import socket

# AWS, "Retrieve instance metadata"; Google Cloud, "About VM metadata". Azure has the first address as well.
_NAMES = frozenset({"metadata.google.internal", "metadata"})
_ADDRESSES = frozenset({ipaddress.ip_address("169.254.169.254"), ipaddress.ip_address("fd00:ec2::254")})
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052, section 2.1
_IPV4_MASK = 0xFFFFFFFF


def is_metadata_host(host: str) -> bool:
    """Whether a host is a cloud's metadata service, however it is spelled; names are not resolved."""
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    return name in _NAMES or _address(name) in _ADDRESSES


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a name spells; IPv4 also in decimal, hexadecimal, octal and short forms (inet_aton(3))."""
    try:
        if ":" not in name:
            return ipaddress.IPv4Address(socket.inet_aton(name))
        address = ipaddress.IPv6Address(name)
    except (OSError, ValueError):
        return None
    if address in _NAT64 or int(address) <= _IPV4_MASK:
        return ipaddress.IPv4Address(int(address) & _IPV4_MASK)
    return address.ipv4_mapped or address.sixtofour or address
