"""Chance that depends on nothing but what a caption is of."""

import hashlib


def caption_seed(run: str, key: str, index: int, seed: int) -> int:
    """Return the seed of one caption, 0 <= seed < 2**63: a hash of what it belongs to."""
    digest = hashlib.sha256(f"{run}\0{key}\0{index}\0{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
