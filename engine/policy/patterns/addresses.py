"""IP addresses as AWS reads them: by their text alone, never by a look-up of a host name."""

from __future__ import annotations

IPV4_PARTS = 4
OCTET_MAX = 255
OCTET_DIGITS_MAX = 9
MAPPED_IPV4 = bytes(10) + b"\xff\xff"
HEXADECIMAL = frozenset("0123456789abcdefABCDEF:")


def address_bytes(text: str) -> bytes | None:
    """Return the 4 or 16 bytes of an IPv4 or IPv6 address, or None where ``text`` is none.

    Octets are decimal, also with leading zeros, and an IPv6 address that maps an IPv4 address is that address.
    """
    if not text or not text.isascii():
        return None
    if text[0].isdigit() and text.count(".") == IPV4_PARTS - 1:
        return _ipv4_bytes(text)
    return _ipv6_bytes(text) if ":" in text and HEXADECIMAL.issuperset(text) else None


def _ipv4_bytes(text: str) -> bytes | None:
    parts = text.split(".")
    if not all(part.isdigit() and len(part) <= OCTET_DIGITS_MAX for part in parts):
        return None
    octets = [int(part) for part in parts]
    return bytes(octets) if max(octets) <= OCTET_MAX else None


def _ipv6_bytes(text: str) -> bytes | None:
    import ipaddress  # noqa: PLC0415 - few patterns ask for addresses, and every cold start would pay for it

    try:
        packed = ipaddress.IPv6Address(text).packed
    except ValueError:
        return None
    return packed.removeprefix(MAPPED_IPV4)


def network_range(address: bytes, mask_bits: int) -> tuple[bytes, bytes]:
    """Return the first and the last address of the network that holds ``address``."""
    host = (1 << (len(address) * 8 - mask_bits)) - 1
    first = int.from_bytes(address) & ~host
    return first.to_bytes(len(address)), (first | host).to_bytes(len(address))
