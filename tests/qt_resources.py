"""Write Qt resource files as Qt's `rcc` lays them out, for the tests of the reader."""

import struct
import zlib

FOLDER, COMPRESSED = 2, 1


def packed(content: bytes) -> bytes:
    """A file's bytes as rcc compresses them: the plain length, then zlib."""
    return struct.pack(">I", len(content)) + zlib.compress(content)


def resource_file(version: int, files: dict[str, bytes], flags: int = 0) -> bytes:
    """A resource file of `folder/name` paths; `flags` are those of every file.

    Nodes stand in three runs, as rcc writes them: the root, the folders, the files.
    """
    folders: dict[str, list[str]] = {}
    for path in files:
        folders.setdefault(path.split("/")[0], []).append(path)
    names, data, leaves, branches = b"", b"", b"", b""
    for folder, paths in folders.items():
        first = 1 + len(folders) + len(leaves) // _node_size(version)
        branches += _node(version, len(names), FOLDER, len(paths), first)
        names += _name(folder)
        for path in paths:
            leaves += _node(version, len(names), flags, 0, len(data))
            names += _name(path.split("/")[1])
            data += struct.pack(">I", len(files[path])) + files[path]
    tree = _node(version, 0, FOLDER, len(folders), 1) + branches + leaves
    head = 24 if version == 3 else 20
    offsets = struct.pack(">IIII", version, head + len(data), head, head + len(data) + len(tree))
    return b"qres" + offsets + b"\0" * (head - 20) + data + tree + names


def _node(version: int, name: int, flags: int, first: int, second: int) -> bytes:
    # A folder's two numbers are its count and first child; a file's are its locale and offset.
    node = struct.pack(">IHII", name, flags, first, second)
    return node.ljust(_node_size(version), b"\0")


def _node_size(version: int) -> int:
    return 14 if version == 1 else 22


def _name(name: str) -> bytes:
    return struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
