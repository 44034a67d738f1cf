"""Qt's resource files are read as Qt's own tool writes them; damage is one clear line."""

import struct

import pytest

from tasks.demo.rcc import read_rcc
from tasks.errors import InputError
from tests.qt_resources import COMPRESSED, packed, resource_file

FILES = {"lion/König.txt": b"roar, roar!", "lion/lair": b"", "owl/hoot.txt": b"hoo"}


@pytest.mark.parametrize("version", [1, 2, 3])
def test_files_come_with_their_paths_plain_or_compressed(version: int) -> None:
    assert dict(read_rcc(resource_file(version, FILES), "zoo.rcc")) == FILES
    stored = {path: packed(content) for path, content in FILES.items()}
    content = resource_file(version, stored, COMPRESSED)
    assert dict(read_rcc(content, "zoo.rcc")) == FILES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (resource_file(3, FILES, COMPRESSED), r"zoo\.rcc is damaged"),
        (resource_file(3, FILES)[:30], r"zoo\.rcc is damaged"),
        (resource_file(3, FILES, 4), "packed with zstd"),
        (b"RIFF....", r"zoo\.rcc is no Qt resource file"),
        (b"qres" + struct.pack(">IIII", 9, 20, 20, 20), "version 9, not 1 to 3"),
    ],
)
def test_what_cannot_be_read_is_named_and_explained(content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        dict(read_rcc(content, "zoo.rcc"))
