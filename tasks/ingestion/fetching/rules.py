"""The lines of a robots.txt that are addressed to one crawler, read as RFC 9309 says.

Only these lines are kept, and a check costs the same whatever a site wrote: plain paths are looked
up by their lengths, and patterns are matched piece by piece, never by a regular expression.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

MOST_PATTERNS = 1000  # each costs a microsecond for every URL; sites that mean them have dozens
UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What an agent line may put behind the name: `Caplift/0.1`, `caplift (images)`.
AFTER_NAME = re.compile(r"[/\s(;]")


class Rules:
    """Which paths of a site one crawler may ask for."""

    def __init__(self, allowed: dict[str, bool]) -> None:
        """Take patterns as `parse` finds them: path -> whether it is allowed."""
        patterns = sorted(filter(_is_pattern, allowed), key=lambda p: (-len(p), not allowed[p]))
        self._patterns = [_Pattern.of(p, allowed[p]) for p in patterns[:MOST_PATTERNS]]
        self._plain = {p: is_allowed for p, is_allowed in allowed.items() if not _is_pattern(p)}
        for pattern in patterns[MOST_PATTERNS:]:
            # Read as the plain path they begin with, a few more are forbidden; none is forgotten.
            if not allowed[pattern]:
                self._plain.setdefault(pattern.partition("*")[0].rstrip("$"), False)
        self._lengths = sorted({len(path) for path in self._plain}, reverse=True)

    @classmethod
    def parse(cls, text: str, agent: str) -> "Rules":
        """Read a robots.txt for a crawler, such as "caplift"; lines that say nothing are left out.

        Groups that name the crawler count together; those for `*` count when none does.
        """
        named: dict[str, bool] = {}
        others: dict[str, bool] = {}
        is_named = False
        group: list[dict[str, bool]] = []
        is_open = False  # more agent lines may still join the group
        for key, value in _lines(text):
            if key == "user-agent":
                group = group if is_open else []
                is_open = True
                name = AFTER_NAME.split(value.lower(), maxsplit=1)[0]
                if name == agent.lower():
                    is_named = True
                    group.append(named)
                elif name == "*":
                    group.append(others)
            elif key in ("allow", "disallow"):
                is_open = False
                pattern = _spelled(value)
                for rules in group if pattern else ():
                    # Of two equal ones the more permissive wins (section 2.2.2).
                    rules[pattern] = key == "allow" or rules.get(pattern, False)
        return cls(named if is_named else others)

    def allow(self, target: str) -> bool:
        """True when the crawler may ask for a target: path and query of a normalised URL.

        The longest pattern that matches decides, an allowing one before a forbidding one.
        """
        if not self._lengths and not self._patterns:
            return True
        target = target if _is_simple(target) else _escaped(target)
        longest, is_allowed = -1, True
        for length in self._lengths:
            if length <= len(target) and target[:length] in self._plain:
                longest, is_allowed = length, self._plain[target[:length]]
                break
        for pattern in self._patterns:
            if pattern.length < longest:
                break
            decides = pattern.length > longest or pattern.is_allowed
            if decides and pattern.matches(target):
                return pattern.is_allowed
        return is_allowed


def _lines(text: str) -> list[tuple[str, str]]:
    found = []
    for line in re.split(r"[\r\n]+", text.removeprefix("\ufeff")):
        key, colon, value = line.partition("#")[0].partition(":")
        if colon:
            found.append((key.strip().lower(), value.strip()))
    return found


def _spelled(value: str) -> str:
    """Return a path pattern with the one spelling of every character, or an empty text."""
    if not value:
        return ""
    rooted = value if value[0] in "/*" else f"/{value}"
    is_whole = rooted.endswith("$")
    # A `$` elsewhere stands for itself; stars in a row are one.
    parts = re.split(r"\*+", rooted.removesuffix("$"))
    return "*".join(map(_escaped, parts)) + "$" * is_whole


def _escaped(text: str) -> str:
    """Escape what is special or not ASCII, and nothing that need not be (section 2.2.2)."""
    quoted = quote(text, safe="/:@!&'()+,;=~-._?%[]", errors="replace")

    def one(escape: re.Match[str]) -> str:
        code = int(escape[1], 16)
        return chr(code) if code in UNRESERVED else escape[0].upper()

    return re.sub("%([0-9A-Fa-f]{2})", one, quoted)


def _is_simple(target: str) -> bool:
    return target.isascii() and not any(special in target for special in "%*$")


def _is_pattern(path: str) -> bool:
    return "*" in path or path.endswith("$")


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A path with stars: the pieces between them, and whether the last one ends the target."""

    pieces: tuple[str, ...]
    is_whole: bool
    length: int  # of the pattern as it is spelled; the longer one decides
    is_allowed: bool

    @classmethod
    def of(cls, spelled: str, is_allowed: bool) -> "_Pattern":
        is_whole = spelled.endswith("$")
        pieces = tuple(spelled.removesuffix("$").split("*"))
        return cls(pieces, is_whole, len(spelled), is_allowed)

    def matches(self, target: str) -> bool:
        """True when the pieces follow one another in the target; each is taken where it is met."""
        first, *inner = self.pieces
        if not target.startswith(first):
            return False
        if not inner:
            return not self.is_whole or target == first
        end = len(first)
        for piece in inner[:-1]:
            start = target.find(piece, end)
            if start < 0:
                return False
            end = start + len(piece)
        if self.is_whole:
            return target.endswith(inner[-1]) and len(target) - len(inner[-1]) >= end
        return target.find(inner[-1], end) >= 0
