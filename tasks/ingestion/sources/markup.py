"""A page as a stream of tags and texts, read once from its beginning to its end.

No tree is built. A tree costs time and memory that a hostile page can make grow with the square of
its length: 75 KB of `<p><font size=1><p><font size=2>…` took a browser's parser 14 seconds and a
gigabyte. What is read here never comes back to what was read before: repetitions of characters are
possessive, and behind those of groups stands nothing that could fail. (Possessive groups find what
they should not in Python 3.11.2.) Numbers of sections are those of the HTML standard.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from html.entities import html5

SPACE = " \t\n\f\r"
# A comment (13.2.5.43), the name of a tag (13.2.5.6 to 13.2.5.8), or what is passed over.
TOKEN = re.compile(
    r"<(?:(?P<comment>!--)|(?P<end>/?)(?P<name>[a-zA-Z][^ \t\n\f\r/>]*+)"
    r"|(?:[!?]|/[^a-zA-Z])[^>]*+>?+)"
)
# It ends with -->, with --!>, or at once with <!--> or <!--->.
COMMENT_AT_ONCE = re.compile(r"-?>")
COMMENT_END = re.compile(r"--!?>")
# What stands between a name and the next > outside of a quoted value (13.2.5.32 to 13.2.5.39), some
# of it at a time: without a bound, every part that is passed would be remembered.
BETWEEN = re.compile(
    r"(?:[^>=]++|=[ \t\n\f\r]*+(?:\"[^\"]*+\"?+|'[^']*+'?+|[^ \t\n\f\r>]*+)){1,64}"
)
ATTRIBUTE = re.compile(
    r"([^ \t\n\f\r/>][^ \t\n\f\r/>=]*+)"
    r"(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:\"([^\"]*+)\"?+|'([^']*+)'?+|([^ \t\n\f\r>]*+)))?"
)
# What stands in these is text, whatever it looks like, until their end tag (13.2.5.2, 13.2.5.3).
RAW = frozenset({"script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes"})
REFERENCE = r"&(?:#(?:[0-9]{1,8}+|[xX][0-9a-fA-F]{1,7}+);?+|[a-zA-Z][a-zA-Z0-9]{1,31}+;?+)"
IN_TEXT = re.compile(REFERENCE)
IN_VALUE = re.compile(REFERENCE + r"(?!=)")


@dataclass(frozen=True, slots=True)
class Tag:
    """A start or end tag; `written` is what stands between its name and its >."""

    name: str
    written: str
    is_end: bool = False

    @property
    def attributes(self) -> dict[str, str]:
        """The values by lower-case name; the first of a name counts (13.2.5.33)."""
        found: dict[str, str] = {}
        for name, *values in ATTRIBUTE.findall(self.written):
            found.setdefault(name.lower(), _value("".join(values)))
        return found


def tokens(html: str, wanted: frozenset[str]) -> Iterator[Tag | str]:
    """Yield the wanted tags and all texts, in order; character references are resolved.

    The text of a script or style is left out, that of a title is given whole.

    Args:
        html: the page.
        wanted: names of tags, in lower case.
    """
    raw = _Raw(html)
    position = 0
    while found := TOKEN.search(html, position):
        if found.start() > position:
            yield _text(html[position : found.start()])
        position = _end_of(found, html)
        if not found["name"] or position == len(html):  # no tag, or cut off by the page's end
            continue
        tag = Tag(found["name"].lower(), html[found.end() : position], bool(found["end"]))
        position += len(">")
        end = raw.end_after(tag, position)
        if tag.name in wanted and not (raw.in_drawing and tag.name in RAW):
            yield tag
            if end > position:
                yield _text(html[position:end])
        position = end
    if position < len(html):
        yield _text(html[position:])


def _end_of(found: re.Match[str], html: str) -> int:
    """Return where a comment ends, where the > of a tag stands, or the page's end."""
    position = found.end()
    if found["comment"]:
        end = COMMENT_AT_ONCE.match(html, position) or COMMENT_END.search(html, position)
        return end.end() if end else len(html)
    while found["name"] and (part := BETWEEN.match(html, position)):
        position = part.end()
    return position


class _Raw:
    """Where elements of raw text end; what has no end is looked for once.

    In a drawing a title is another thing, and <style/> ends itself.
    """

    def __init__(self, html: str) -> None:
        self.in_drawing = False
        self._html = html
        self._unending: set[str] = set()

    def end_after(self, tag: Tag, position: int) -> int:
        """Return where the raw text ends that a tag before `position` opens, if it opens one."""
        is_closed = tag.is_end or (self.in_drawing and tag.written.endswith("/"))
        if tag.name == "svg":
            self.in_drawing = not tag.is_end and not tag.written.endswith("/")
        if tag.name not in RAW or is_closed:
            return position
        if tag.name not in self._unending:
            pattern = re.compile(rf"</{tag.name}(?=[ \t\n\f\r/>])", re.IGNORECASE)
            if found := pattern.search(self._html, position):
                return found.start()
            self._unending.add(tag.name)
        return len(self._html)


def _text(written: str) -> str:
    if "&" not in written:
        return written
    return IN_TEXT.sub(lambda found: unescape(found[0]), written)


def _value(written: str) -> str:
    if "&" not in written:
        return written
    return IN_VALUE.sub(_of_value, written)


def _of_value(found: re.Match[str]) -> str:
    """Resolve a reference in a value: `&copy=1` and `&copyright` there are no © (13.2.5.73)."""
    written = found[0]
    return unescape(written) if written[1] == "#" or written[1:] in html5 else written
