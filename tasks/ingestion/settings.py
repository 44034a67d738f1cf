"""How a batch is fetched and what may be stored; option names are img2dataset's where it has one.

The limits refuse from the header, before anything is allocated.
"""

import re
from dataclasses import dataclass

from tasks.bounds import above_zero, at_least
from tasks.errors import InputError
from tasks.ingestion.policy import OPT_OUT_DIRECTIVES

RESIZE_MODES = ("no", "border", "keep_ratio", "keep_ratio_largest", "center_crop")
KINDS = ("web", "human")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingestion:
    """Limits, politeness and picture size of a batch.

    Attributes:
        shard_size: candidates a shard.
        image_size: pixels of the side that `resize_mode` fixes.
        resize_mode: no, border, keep_ratio (shorter side), keep_ratio_largest (longer side) or
            center_crop.
        resize_only_if_bigger: smaller pictures keep their size and their original bytes.
        jpeg_quality: of stored pictures.
        min_side: smallest original side kept, in pixels.
        max_aspect_ratio: largest ratio of the longer to the shorter side.
        max_bytes: largest body read.
        max_pixels: largest picture decoded, width times height.
        concurrency: requests under way at once.
        per_host_concurrency: of them, at one host.
        per_host_rate: most requests a second at one host, for each process; 0 means 10, and no
            limit at the hosts of allow_private_hosts. A host that answers 429 is asked more slowly.
        timeout_s: for one URL in all: redirects, body and further tries; waiting for a host's turn
            and the pauses between tries are left out.
        min_bytes_per_s: slowest body that is waited for, over any grace_s; 0 waits for all.
        grace_s: seconds that a body's speed is averaged over.
        max_memory_bytes: of bodies between socket and shard, for each process; one that is larger
            than that comes alone.
        retries: further tries after a failure that may pass.
        user_agent: the honest name sent with every request.
        contact: an address a webmaster can write to; part of the User-Agent.
        respect_robots: obey robots.txt (RFC 9309).
        respect_opt_outs: obey what sites ask in X-Robots-Tag and TDM-Reservation headers and in
            their pages' robots elements.
        disallowed_header_directives: what an X-Robots-Tag says to opt out.
        respect_tdm_reservation: count TDM-Reservation: 1 among what is obeyed.
        allow_private_hosts: hosts that may resolve to private or loopback addresses.
    """

    shard_size: int = 1000
    image_size: int = 256
    resize_mode: str = "keep_ratio"
    resize_only_if_bigger: bool = True
    jpeg_quality: int = 95
    min_side: int = 32
    max_aspect_ratio: float = 5.0
    max_bytes: int = 32 << 20
    max_pixels: int = 100_000_000
    concurrency: int = 64
    per_host_concurrency: int = 8
    per_host_rate: float = 0.0
    timeout_s: float = 20.0
    min_bytes_per_s: int = 1024
    grace_s: float = 5.0
    max_memory_bytes: int = 256 << 20
    retries: int = 2
    user_agent: str = "Caplift/0.1"
    contact: str = ""
    respect_robots: bool = True
    respect_opt_outs: bool = True
    disallowed_header_directives: tuple[str, ...] = tuple(sorted(OPT_OUT_DIRECTIVES))
    respect_tdm_reservation: bool = True
    allow_private_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.resize_mode not in RESIZE_MODES:
            raise InputError(
                f"resize_mode is one of {', '.join(RESIZE_MODES)}, not {self.resize_mode!r}"
            )
        above_zero(self, "shard_size", "image_size", "max_bytes", "max_pixels")
        above_zero(self, "concurrency", "per_host_concurrency", "timeout_s", "grace_s")
        above_zero(self, "max_memory_bytes")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"jpeg_quality is 1 to 100, not {self.jpeg_quality}")
        if not re.match(r"[A-Za-z_-]", self.user_agent) or not _fits_a_header(self.agent):
            raise InputError(
                "user_agent and contact are one line of ASCII that begins with the name which "
                f"robots.txt knows us by, such as Caplift/0.1, not {self.agent!r}"
            )
        at_least(1, self, "max_aspect_ratio")
        at_least(0, self, "retries", "min_side", "per_host_rate", "min_bytes_per_s")

    @property
    def agent(self) -> str:
        """The User-Agent header, with the contact when there is one."""
        return f"{self.user_agent} (+{self.contact})" if self.contact else self.user_agent


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where the candidates of a batch come from.

    Attributes:
        batch: the batch's name in the lake.
        pages: addresses whose site is crawled, and .html files or folders of them.
        tables: parquet, csv, tsv, jsonl or txt files (.gz too, any fsspec URL) of URLs and texts.
        kind: "web" for alt-texts, "human" for captions that people wrote for the picture.
        max_pages: most pages read in all.
        retry_of: a finished batch whose failures that may pass are tried again.
    """

    batch: str
    pages: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    kind: str = "web"
    max_pages: int = 5000
    retry_of: str = ""

    def __post_init__(self) -> None:
        if not self.batch or "/" in self.batch or self.batch.startswith("."):
            raise InputError(f"a batch is named like a folder, not {self.batch!r}")
        if self.kind not in KINDS:
            raise InputError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not self.pages and not self.tables and not self.retry_of:
            raise InputError(f"batch {self.batch!r} has neither pages nor tables; give it one")
        at_least(1, self, "max_pages")
