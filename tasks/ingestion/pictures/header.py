"""What a picture's first bytes say, and the limits that apply before a pixel is decoded."""

from dataclasses import dataclass, field

from tasks.ingestion.settings import Ingestion
from tasks.rows import Outcome

MOST_FRAMES = 10_000  # counted; a body of a million tiny frames would cost seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A picture as its header describes it.

    Attributes:
        format: such as "jpeg".
        mode: Pillow's, such as "RGB", "CMYK" or "I;16".
        width: stored pixels, before any turn.
        height: likewise.
        n_frames: 1 for a still picture; at most MOST_FRAMES.
        is_animated: its frames are one animation, not the pages of a document.
        orientation: EXIF's, 1 to 8.
        icc: the colour profile, empty when there is none or it is sRGB.
        exif: the first 64 tags as text.
        is_plain: one still picture of three 8-bit sRGB channels, which may be stored as it came
            (a JPEG if it `ends_with_its_picture`).
        components: of a JPEG, by their numbers.
        data_offset: of the first scan of a JPEG.
        raw_size: bytes that the rows of a PNG unpack to.
        grey_key: the decoded grey of a PNG that is transparent.
    """

    format: str
    mode: str
    width: int
    height: int
    n_frames: int = 1
    is_animated: bool = False
    orientation: int = 1
    icc: bytes = b""
    exif: dict[str, str] = field(default_factory=dict)
    is_plain: bool = False
    components: tuple[int, ...] = ()
    data_offset: int = 0
    raw_size: int = 0
    grey_key: int | None = None


class NotStorableError(Exception):
    """A picture that ends as an outcome instead of pixels."""

    def __init__(self, outcome: Outcome, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.message = message


def check_header(header: Header, how: Ingestion) -> None:
    """Apply the limits.

    Raises:
        NotStorableError: too many pixels, too long, too small, or animated where that is refused.
    """
    width, height = header.width, header.height
    if min(width, height) < 1:
        raise NotStorableError(Outcome.CORRUPT, f"the header says {width} x {height} pixels")
    if width * height > how.max_image_area:
        raise NotStorableError(
            Outcome.TOO_MANY_PIXELS, f"{width} x {height} is over {how.max_image_area:g} pixels"
        )
    if max(width, height) > how.max_aspect_ratio * min(width, height):
        raise NotStorableError(
            Outcome.ASPECT_RATIO, f"{width} x {height} is over {how.max_aspect_ratio:g} to 1"
        )
    if min(width, height) < how.min_image_size:
        raise NotStorableError(
            Outcome.TOO_SMALL, f"{width} x {height} has a side under {how.min_image_size}"
        )
    if header.is_animated and how.animated == "drop":
        raise NotStorableError(Outcome.ANIMATED, f"an animation of {header.n_frames} frames")
