"""Read Qt's binary resource files (.rcc), versions 1 to 3.

Layout, after Qt's `rcc` tool: the header `qres`, version, and the offsets of tree, payload and
names, all big-endian; a tree of fixed-size nodes, children side by side; names in UTF-16; each
file's bytes preceded by their length, plain or zlib behind a second length.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.errors import InputError

MAGIC = b"qres"
VERSIONS = (1, 2, 3)
COMPRESSED, FOLDER, ZSTD = 1, 2, 4


@dataclass(frozen=True, slots=True)
class _Resource:
    content: bytes
    node_size: int
    tree: int
    payload: int
    names: int


def read_rcc(content: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (path inside, bytes) of every file of a resource file; `name` stands in errors.

    Raises:
        InputError: it is no resource file, damaged, or packed with zstd.
    """
    if content[:4] != MAGIC:
        raise InputError(f"{name} is no Qt resource file: it does not begin with {MAGIC!r}")
    try:
        version, tree, payload, names = struct.unpack_from(">IIII", content, 4)
        if version not in VERSIONS:
            raise InputError(f"{name} is a Qt resource file of version {version}, not 1 to 3")
        # Since version 2 a node ends in the time of its file's last change.
        resource = _Resource(content, 14 if version == 1 else 22, tree, payload, names)
        yield from _walk(resource, 0, "")
    except (struct.error, zlib.error) as error:
        raise InputError(f"{name} is damaged ({error}); fetch its package again") from error


def _walk(resource: _Resource, node: int, folder: str) -> Iterator[tuple[str, bytes]]:
    at = resource.tree + node * resource.node_size
    name_at, flags = struct.unpack_from(">IH", resource.content, at)
    name = _name(resource, name_at) if node else ""
    path = f"{folder}/{name}".lstrip("/")
    if flags & FOLDER:
        count, first = struct.unpack_from(">II", resource.content, at + 6)
        for child in range(first, first + count):
            yield from _walk(resource, child, path)
    else:
        (payload_at,) = struct.unpack_from(">I", resource.content, at + 10)
        yield path, _payload(resource, payload_at, flags)


def _name(resource: _Resource, name_at: int) -> str:
    at = resource.names + name_at
    (length,) = struct.unpack_from(">H", resource.content, at)
    return resource.content[at + 6 : at + 6 + 2 * length].decode("utf-16-be")


def _payload(resource: _Resource, payload_at: int, flags: int) -> bytes:
    at = resource.payload + payload_at
    (length,) = struct.unpack_from(">I", resource.content, at)
    stored = resource.content[at + 4 : at + 4 + length]
    if flags & ZSTD:
        raise InputError("the Qt resource file is packed with zstd, which is not read here")
    return zlib.decompress(stored[4:]) if flags & COMPRESSED else stored
