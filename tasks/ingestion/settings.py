"""How a batch is fetched and what may be stored; option names are img2dataset's where it has one.

The limits refuse from the header, before anything is allocated.
"""

import re
from dataclasses import dataclass

from tasks.bounds import above_zero, at_least
from tasks.errors import InputError
from tasks.ingestion.fetching.policy import OPT_OUT_DIRECTIVES
from tasks.ingestion.sources.additional import check_names
from tasks.ingestion.sources.places import TABLES

RESIZE_MODES = ("no", "border", "keep_ratio", "keep_ratio_largest", "center_crop", "fixed")
DECODE_MODES = ("fast", "hq", "area")
INTERPOLATIONS = (
    "nearest",
    "linear",
    "bilinear",
    "cubic",
    "bicubic",
    "area",
    "lanczos",
    "lanczos4",
)
# Quality of JPEG and WebP; of PNG the effort of compression.
HIGHEST_QUALITY = {"jpg": 100, "png": 9, "webp": 100}
ANIMATED = ("first", "drop")
VERIFY_HASH = ("off", "flag", "drop")
COMPUTE_HASH = ("sha256", "md5", "sha512")
KINDS = ("web", "human")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingestion:
    """Limits, politeness and picture size of a batch.

    Attributes:
        shard_size: candidates a shard.
        oom_shard_count: digits of a shard's name.
        image_size: pixels of the side that `resize_mode` fixes.
        resize_mode: no, border (longer side, then white to a square), keep_ratio (shorter side),
            keep_ratio_largest (longer side), center_crop (shorter side, then the middle square) or
            fixed (both sides).
        resize_only_if_bigger: smaller pictures keep their size and are neither cropped nor framed.
        decode_mode: fast, hq (36 and 37 dB of PSNR against area; hq decodes at twice the size) or
            area (decodes the whole picture, and gives img2dataset's pixels).
        upscale_interpolation: nearest, linear, cubic, area or lanczos, for pictures that grow.
        downscale_interpolation: likewise, for pictures that shrink in decode_mode area; fast and
            hq end with a bilinear step and take no other.
        encode_format: jpg, png or webp.
        encode_quality: of jpg and webp, 0 to 100; of png the effort, 0 to 9.
        skip_reencode: a picture of encode_format that nothing would change keeps its bytes.
        disable_all_reencoding: every picture keeps its bytes, which are decoded all the same, so
            that a damaged one is refused.
        animated: first (keep the first frame) or drop.
        min_image_size: smallest original side kept, in pixels.
        max_aspect_ratio: largest ratio of the longer to the shorter side.
        max_bytes: largest body read.
        max_image_area: largest picture decoded, width times height in pixels.
        concurrency: requests under way at once.
        per_host_concurrency: of them, at one host.
        per_host_rate: most requests a second at one host, by all processes together; 0 means 10,
            and no limit at the hosts of allow_private_hosts. A host that answers 429 is asked more
            slowly.
        timeout_s: for one URL in all: redirects, body and further tries; waiting for a host's turn
            and the pauses between tries are left out.
        min_bytes_per_s: slowest body that is waited for, over any grace_s; 0 waits for all.
        grace_s: seconds that a body's speed is averaged over.
        max_memory_bytes: of bodies between socket and shard, for each process; one that is larger
            than that comes alone.
        compute_hash: md5 or sha512 for a column beside sha256, which is there in any case.
        extract_exif: keep the EXIF tags in the rows; the picture is turned as they say anyway.
        verify_hash: what a body with another hash than its table's comes to: off (it is not looked
            at), flag (kept, its row has hash_matches false) or drop.
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
    oom_shard_count: int = 5
    image_size: int = 256
    resize_mode: str = "keep_ratio"
    resize_only_if_bigger: bool = True
    decode_mode: str = "fast"
    upscale_interpolation: str = "lanczos"
    downscale_interpolation: str = "area"
    encode_format: str = "jpg"
    encode_quality: int = 95
    skip_reencode: bool = True
    disable_all_reencoding: bool = False
    animated: str = "first"
    min_image_size: int = 32
    max_aspect_ratio: float = 5.0
    max_bytes: int = 32 << 20
    max_image_area: int = 100_000_000
    concurrency: int = 64
    per_host_concurrency: int = 2
    per_host_rate: float = 0.0
    timeout_s: float = 20.0
    min_bytes_per_s: int = 1024
    grace_s: float = 5.0
    max_memory_bytes: int = 16 << 20
    compute_hash: str = "sha256"
    extract_exif: bool = True
    verify_hash: str = "drop"
    retries: int = 2
    user_agent: str = "Caplift/0.1"
    contact: str = ""
    respect_robots: bool = True
    respect_opt_outs: bool = True
    disallowed_header_directives: tuple[str, ...] = tuple(sorted(OPT_OUT_DIRECTIVES))
    respect_tdm_reservation: bool = True
    allow_private_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_pictures(self)
        above_zero(self, "shard_size", "image_size", "max_bytes", "max_image_area")
        above_zero(self, "concurrency", "per_host_concurrency", "timeout_s", "grace_s")
        above_zero(self, "max_memory_bytes", "oom_shard_count")
        if not re.match(r"[A-Za-z_-]", self.user_agent) or not _fits_a_header(self.agent):
            raise InputError(
                "user_agent and contact are one line of ASCII that begins with the name which "
                f"robots.txt knows us by, such as Caplift/0.1, not {self.agent!r}"
            )
        for name, known in (("verify_hash", VERIFY_HASH), ("compute_hash", COMPUTE_HASH)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}"
                )
        at_least(1, self, "max_aspect_ratio")
        at_least(0, self, "retries", "min_image_size", "per_host_rate", "min_bytes_per_s")

    @property
    def agent(self) -> str:
        """The User-Agent header, with the contact when there is one."""
        return f"{self.user_agent} (+{self.contact})" if self.contact else self.user_agent


def _check_pictures(how: Ingestion) -> None:
    choices = {
        "resize_mode": RESIZE_MODES,
        "decode_mode": DECODE_MODES,
        "upscale_interpolation": INTERPOLATIONS,
        "downscale_interpolation": INTERPOLATIONS,
        "encode_format": tuple(HIGHEST_QUALITY),
        "animated": ANIMATED,
    }
    for name, known in choices.items():
        if getattr(how, name) not in known:
            raise InputError(f"{name} is one of {', '.join(known)}, not {getattr(how, name)!r}")
    if how.decode_mode != "area" and how.downscale_interpolation != "area":
        raise InputError(
            f"downscale_interpolation {how.downscale_interpolation} needs decode_mode area, which "
            f"decodes whole pictures; {how.decode_mode} ends with a bilinear step"
        )
    highest = HIGHEST_QUALITY[how.encode_format]
    if not 0 <= how.encode_quality <= highest:
        raise InputError(
            f"encode_quality of {how.encode_format} is 0 to {highest}, not {how.encode_quality}"
        )


def _fits_a_header(text: str) -> bool:
    return text.isascii() and text.isprintable()


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where the candidates of a batch come from.

    Attributes:
        batch: the batch's name in the lake.
        pages: addresses whose site is crawled, and .html files or folders of them.
        archives: WARC and WAT files, folders or patterns of them, on any store that fsspec knows.
        tables: parquet, csv, tsv, json, jsonl or txt files of URLs and texts (.gz too), folders or
            patterns of them, on any such store.
        input_format: what all tables are, such as csv or jsonl.gz, where their names do not say;
            of a folder only the files whose names end so are read.
        url_col: the tables' column of addresses; left out: url, image_url, src or link.
        caption_col: of texts or lists of texts, or none; left out: caption, text, alt or title.
        hash_col: of md5, sha1, sha256 or sha512 in hex that the bytes must have, or none; left out:
            sha256, sha512 or md5.
        save_additional_columns: further columns of the tables, kept with their types in the rows
            and in each sample's json; of several rows with one address the first one's.
        bbox_col: one more such column, of lists of [x_min, y_min, x_max, y_max] in parts of the
            picture's width and height, before EXIF turns it; these parts are stored blurred, those
            of all rows with one address.
        kind: "web" for alt-texts, "human" for captions that people wrote for the picture.
        max_pages: most pages read in all.
        retry_of: a finished batch whose failures that may pass are tried again.
    """

    batch: str
    pages: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    input_format: str = ""
    url_col: str = ""
    caption_col: str = ""
    hash_col: str = ""
    save_additional_columns: tuple[str, ...] = ()
    bbox_col: str = ""
    kind: str = "web"
    max_pages: int = 5000
    retry_of: str = ""

    def __post_init__(self) -> None:
        if not self.batch or "/" in self.batch or self.batch.startswith("."):
            raise InputError(f"a batch is named like a folder, not {self.batch!r}")
        if self.kind not in KINDS:
            raise InputError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not (self.pages or self.archives or self.tables or self.retry_of):
            raise InputError(
                f"batch {self.batch!r} has neither pages nor tables nor archives; give it one"
            )
        if self.input_format and f".{self.input_format}" not in TABLES:
            known = ", ".join(suffix.removeprefix(".") for suffix in TABLES)
            raise InputError(f"input_format is one of {known}, not {self.input_format!r}")
        check_names(self.carried)
        if self.carried and not self.tables:
            raise InputError(
                "save_additional_columns and bbox_col are columns of URL tables, and batch "
                f"{self.batch!r} has none; leave them out or give it a table"
            )
        at_least(1, self, "max_pages")

    @property
    def carried(self) -> tuple[str, ...]:
        """The columns of its tables that are carried along."""
        boxes = (self.bbox_col,) if self.bbox_col else ()
        return tuple(dict.fromkeys((*self.save_additional_columns, *boxes)))
