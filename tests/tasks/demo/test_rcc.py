"""Qt's resource files are read as Qt's own tool writes them; damage is one clear line."""

import struct
import zlib

import pytest

from tasks.demo.rcc import read_rcc
from tasks.errors import InputError


def node(name: int, flags: int, first: int, second: int, version: int) -> bytes:
    """A folder's two numbers are count and first child; a file's are locale and offset."""
    return struct.pack(">IHII", name, flags, first, second) + (b"\0" * 8 if version > 1 else b"")


def resource_file(version: int, flags: int, payload: bytes) -> bytes:
    """By hand: a root folder with the folder `lion` with the file `König.txt` and one more."""
    names = [b"", b""]
    for index, name in enumerate(("lion", "König.txt")):
        names[index] = struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    plain = b"plain words"
    stored = struct.pack(">I", len(payload)) + payload
    data = stored + struct.pack(">I", len(plain)) + plain
    tree = (
        node(0, 2, 1, 1, version)
        + node(0, 2, 2, 2, version)
        + node(len(names[0]), flags, 0, 0, version)
        + node(0, 0, 0, len(stored), version)
    )
    head = 24 if version == 3 else 20
    offsets = (head + len(data), head, head + len(data) + len(tree))
    header = b"qres" + struct.pack(">IIII", version, *offsets) + b"\0" * (head - 20)
    return header + data + tree + b"".join(names)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_files_come_with_their_paths_plain_or_compressed(version: int) -> None:
    packed = struct.pack(">I", 11) + zlib.compress(b"roar, roar!")
    content = resource_file(version, 1, packed)
    assert dict(read_rcc(content, "zoo.rcc")) == {
        "lion/König.txt": b"roar, roar!",
        "lion/lion": b"plain words",
    }


def test_what_cannot_be_read_is_named_and_explained() -> None:
    content = resource_file(3, 1, struct.pack(">I", 11) + b"not zlib")
    with pytest.raises(InputError, match=r"zoo\.rcc is damaged"):
        dict(read_rcc(content, "zoo.rcc"))
    with pytest.raises(InputError, match=r"zoo\.rcc is damaged"):
        dict(read_rcc(content[:30], "zoo.rcc"))
    with pytest.raises(InputError, match="packed with zstd"):
        dict(read_rcc(resource_file(3, 4, b"zstd"), "zoo.rcc"))
    with pytest.raises(InputError, match=r"zoo\.rcc is no Qt resource file"):
        dict(read_rcc(b"RIFF....", "zoo.rcc"))
    with pytest.raises(InputError, match="version 9, not 1 to 3"):
        dict(read_rcc(b"qres" + struct.pack(">IIII", 9, 20, 20, 20), "zoo.rcc"))
