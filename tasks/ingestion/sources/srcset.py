"""Which of the addresses that a page gives for one picture is the best."""

from collections.abc import Iterator, Mapping

# Sets first: their largest is most often the picture as it was uploaded.
SETS = ("srcset", "data-srcset", "data-lazy-srcset")
# Where scripts that load pictures late keep the address; src is then a placeholder. WordPress names
# the upload itself in data-orig-file.
SOURCES = (
    "data-orig-file",
    "data-large-file",
    "data-hi-res-src",
    "data-src",
    "data-original",
    "data-lazy-src",
    "data-lazy",
    "data-echo",
    "data-image",
    "data-url",
    "src",
)
MAX_SRCSET_CHARS = 20_000
DRAWINGS = ("image/svg+xml", "image/jxl")  # a <source> of these is passed over for the next


def best_of_image(attributes: Mapping[str, str], of_picture: str = "") -> str:
    """Return an img's best address: the largest of its sets, its picture's, or its source.

    Args:
        attributes: of the img.
        of_picture: what the picture element around it chose.
    """
    if found := best_of_sets(attributes) or of_picture:
        return found
    for name in SOURCES:
        value = attributes.get(name, "").strip()
        if value and not is_inline(value):
            return value
    return ""


def best_of_source(attributes: Mapping[str, str]) -> str:
    """Return the best address of a source element of a picture, or an empty text."""
    if attributes.get("type", "").strip().lower() in DRAWINGS:
        return ""
    return best_of_sets(attributes)


def best_of_sets(attributes: Mapping[str, str]) -> str:
    """Return the largest address of the first set that holds one, or an empty text."""
    sets = (attributes[name] for name in SETS if name in attributes)
    return next(filter(None, map(largest, sets)), "")


def largest(srcset: str) -> str:
    """Return the address with the largest width or density of a srcset."""
    best, best_size = "", -1.0
    for address, descriptor in _choices(srcset[:MAX_SRCSET_CHARS]):
        try:
            size = float(descriptor[:-1] or 1.0)
        except ValueError:
            size = 1.0
        if size > best_size and not is_inline(address):
            best, best_size = address, size
    return best


def is_inline(address: str) -> bool:
    """True when the address is the picture itself."""
    return address[:5].lower() == "data:"


def _choices(srcset: str) -> Iterator[tuple[str, str]]:
    """Yield address and descriptor of each choice; addresses may hold commas (HTML, 4.8.4.2.1)."""
    rest = srcset
    while rest := rest.lstrip(" \t\r\n\f,"):
        address = rest.split(maxsplit=1)[0]
        rest = rest[len(address) :]
        if address.endswith(","):
            yield address.rstrip(","), ""
        else:
            descriptor, _, rest = rest.partition(",")
            yield address, descriptor.strip()
