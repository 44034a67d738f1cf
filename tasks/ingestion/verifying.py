"""Whether a body is the one that a table says."""

import hashlib

KINDS = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}  # by their hex digits


def is_hash(digits: str) -> bool:
    """True for the hex digits, in lower case, of a hash of a known kind."""
    return len(digits) in KINDS and set(digits) <= set("0123456789abcdef")


def mismatch(expected: str, body: bytes, sha256: str) -> str:
    """Return in what a body differs from an expected hash, or an empty text.

    Args:
        expected: hex digits of any known kind, or empty: then every body will do.
        body: what came.
        sha256: of the body, in hex; it is known wherever this is asked.
    """
    if not expected:
        return ""
    kind = KINDS[len(expected)]
    found = sha256 if kind == "sha256" else hashlib.new(kind, body).hexdigest()
    return "" if found == expected else f"expected {kind} {expected[:12]}, got {found[:12]}"


def further_hash(kind: str, body: bytes) -> dict[str, str]:
    """Return the column of a hash beside sha256, in hex; none when that is the kind."""
    return {} if kind == "sha256" else {kind: hashlib.new(kind, body).hexdigest()}
