"""BLIPs of the hub, as local folders: fetched once, and from the cache where there is no network.

A host without network gets them by its cache (`hf download OWNER/NAME` elsewhere, then HF_HOME), or
by the folder itself, which is an address too.
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path

from tasks.errors import ModelError

PREFIX = "hub:"
ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
READ = ("config.json", "vocab.txt", "tokenizer.json", "model*.safetensors*")
OLD = "pytorch_model*"  # where there are no safetensors
WEIGHTS = ("*.safetensors", "*.bin")


def hub_id(uri: str) -> str:
    """Return OWNER/NAME of an address that means a model of the hub; empty for any other.

    `hub:` may stand before it. Without, what is a folder here is that folder, and `checkpoints/...`
    is the lake's.
    """
    named = uri.removeprefix(PREFIX)
    if not ID.fullmatch(named) or (named == uri and uri.startswith("checkpoints/")):
        return ""
    return named if named != uri or not Path(uri).exists() else ""


@lru_cache(maxsize=8)
def hub_folder(named: str) -> Path:
    """Return the local folder of OWNER/NAME, fetched when the cache has it not.

    Raises:
        ModelError: the hub cannot be reached and the cache has none, there is no such model, or it
            wants permission.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(named, allow_patterns=list(READ)))
        if not any(folder.glob(WEIGHTS[0])):
            folder = Path(snapshot_download(named, allow_patterns=[*READ, OLD]))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"there is no folder {named} here, and the hub cannot be reached for a model of that "
            f"name; fetch it where there is a network (hf download {named}) and give its folder, "
            "or set HF_HOME to a cache that has it"
        ) from error
    except (OSError, ValueError) as error:  # it answered: no such model, or not for this account
        reason = " ".join(str(error).split())
        raise ModelError(f"the hub gives no {named} ({reason:.200})") from error
    if not weights_stamp(folder):
        raise ModelError(
            f"{named} comes without weights: {folder} has no model.safetensors and no "
            "pytorch_model.bin; where that is a cache, its download was cut short: fetch it again"
        )
    return folder


def weights_stamp(where: Path) -> str:
    """Return the sha256 of a file, or of the weight files in a folder; empty when it has none."""
    files = [where] if where.is_file() else []
    for pattern in WEIGHTS:
        files = files or sorted(where.glob(pattern))
    stamps = [_sha256(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    if len(stamps) < 2:
        return "".join(stamps)
    return hashlib.sha256("".join(stamps).encode()).hexdigest()


@lru_cache(maxsize=64)
def _sha256(file: Path, _size: int, _changed_ns: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
