"""What kind of text a page is and in which encoding, found as browsers find it."""

import codecs
import re

HTML_TYPES = ("text/html", "application/xhtml+xml")
META = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
META_WITHIN = 1024  # bytes; HTML standard, section 13.2.3.2
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Python's names for the encodings of the web (Encoding standard, section 4.2). No other may be
# asked for: punycode takes time that grows with the square of the page.
OF_THE_WEB = frozenset(
    (
        *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp866", "koi8-r", "koi8-u"),
        *(f"iso8859-{part}" for part in (*range(2, 9), 10, 13, 14, 15, 16)),
        *(f"cp{page}" for page in (874, 932, 949, *range(1250, 1259))),
        *("mac-roman", "mac-cyrillic", "gb18030", "big5hkscs", "euc_jp", "iso2022_jp"),
    )
)
# What a page that names the first means: the second holds it and the signs that pages really use.
READ_AS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "windows-874": "cp874",
    "shift_jis": "cp932",
    "x-sjis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "euc_kr": "cp949",
}


def media_type_of(content_type: str) -> str:
    """Return the media type that a Content-Type header names, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def charset_of(content_type: str) -> str:
    """Return the charset that a Content-Type header names, or an empty text."""
    found = re.search(r"charset\s*=\s*[\"']?([\w-]+)", content_type, re.IGNORECASE)
    return found.group(1) if found else ""


def decoded(html: bytes, charset: str = "") -> str:
    """Return a page's text: by its byte order mark, the server's word, its <meta>, or UTF-8.

    A page that names no encoding, or a wrong one, and is no UTF-8 is read as windows-1252, which
    is what browsers do.
    """
    marked = next((name for mark, name in BYTE_ORDER_MARKS if html.startswith(mark)), "")
    found = META.search(html[:META_WITHIN])
    named = found.group(1).decode() if found else ""
    if named.lower().startswith("utf-16"):  # a <meta> that could be read is not in UTF-16
        named = "utf-8"
    for given in (marked, charset, named, "utf-8"):
        try:
            if name := _codec(given):
                return html.decode(name)
        except (LookupError, ValueError):  # an unknown encoding, or a page that is not in it
            continue
    return html.decode("cp1252", "replace")


def _codec(given: str) -> str:
    """Return Python's name of an encoding of the web, or an empty text."""
    if (lowered := given.lower()) in READ_AS:
        return READ_AS[lowered]
    name = codecs.lookup(given).name
    name = READ_AS.get(name, name)
    return name if name in OF_THE_WEB else ""
