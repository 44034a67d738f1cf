"""img2dataset's command line said in ours: its option names hold, or one line says what to do.

Underscores are dashes, `True` and `False` may follow a switch, and a list may stand in brackets.
docs/from-img2dataset.md lists every option.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields

from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion

# Options of img2dataset that have another name here.
RENAMED = {
    "number_sample_per_shard": "shard-size",
    "processes_count": "processes",
    "timeout": "timeout-s",
    "user_agent_token": "user-agent",
}
PLACES = ("url_list", "output_folder")
# What may be said because it is so, and what to do instead of anything else.
AS_IT_IS = {
    "output_format": (
        "webdataset",
        "shards are tars with a Parquet of rows beside them; files, parquet and tfrecord are made "
        "from those",
    ),
    "incremental_mode": (
        "incremental",
        "a batch keeps its plan and its shards; begin another with --batch, or remove the lake",
    ),
    "distributor": (
        "multiprocessing",
        "processes of one machine are --processes; several machines are the flows' business "
        "(CAPLIFT_ENGINE=ray)",
    ),
    "enable_wandb": (
        "False",
        "progress is shown here and told in the last line as JSON; the flows log to MLflow",
    ),
    "ignore_ssl_certificate": (
        "False",
        "certificates are always checked; what fails is a row with outcome tls",
    ),
}
REFUSED = {
    "wandb_project": "nothing is sent to wandb; leave it out",
    "subjob_size": "there are no subjobs; leave it out",
    "max_shard_retry": "a shard that cannot be written ends the run; run the same command again",
}
SWITCHES = frozenset(
    {one.name for one in fields(Ingestion) if isinstance(one.default, bool)}
    | {"enable_wandb", "ignore_ssl_certificate"}
)
VALUED = frozenset({*RENAMED, *PLACES, *REFUSED, *AS_IT_IS, "verify_hash"}) - SWITCHES
BOOLEANS = ("true", "false")


def in_our_words(given: Sequence[str]) -> list[str]:
    """Return a command line in which every option has our name.

    Raises:
        InputError: an option of img2dataset's has no like here, or another value than it may have.
    """
    places: dict[str, str] = {}
    said: list[str] = []
    for name, value in _options(given):
        if not name:
            said.append(value or "")
        elif name in PLACES:
            places[name] = value or ""
        else:
            said += _said(name, value)
    return said + [places[name] for name in PLACES if name in places]


def _options(given: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the value of each option; a word that is none has an empty name."""
    words = iter(given)
    waiting = next(words, None)
    while waiting is not None:
        word, waiting = waiting, next(words, None)
        if not word.startswith("--") or len(word) == 2:
            yield "", word
            continue
        name, is_told, value = word[2:].partition("=")
        name = name.replace("-", "_")
        if is_told:
            yield name, value
        elif waiting is not None and _takes(name, waiting):
            yield name, waiting
            waiting = next(words, None)
        else:
            yield name, None


def _takes(name: str, word: str) -> bool:
    return name in VALUED or (name in SWITCHES and word.lower() in BOOLEANS)


def _said(name: str, value: str | None) -> list[str]:
    if name in REFUSED:
        raise InputError(f"img2dataset's {name} has no like here: {REFUSED[name]}")
    if name in AS_IT_IS:
        only, why = AS_IT_IS[name]
        if (value or "True").lower() != only.lower():
            raise InputError(f"{name} is {only} here, not {value or 'True'}: {why}")
        return []
    if name == "verify_hash" and value is not None and value.startswith("["):
        return _verified(value)
    name = RENAMED.get(name, name.replace("_", "-"))
    if name.replace("-", "_") in SWITCHES and value is not None and value.lower() in BOOLEANS:
        return [f"--{'' if value.lower() == 'true' else 'no-'}{name}"]
    return [f"--{name}"] if value is None else [f"--{name}={value}"]


def _verified(value: str) -> list[str]:
    """Return our options for a column of hashes and their kind."""
    parts = listed(value)
    if len(parts) != 2 or parts[1] not in ("md5", "sha256", "sha512"):
        raise InputError(
            f"verify_hash is a column and md5, sha256 or sha512, such as [md5,md5], not {value}; "
            "or off, flag or drop, with hash_col"
        )
    return [f"--hash-col={parts[0]}", "--verify-hash=drop"]


def listed(value: str) -> tuple[str, ...]:
    """Return the items of a list: A,B or [A,B] or ["A", "B"]."""
    bare = value.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = bare[1:-1]
    return tuple(filter(None, (item.strip().strip("\"'") for item in bare.split(","))))
