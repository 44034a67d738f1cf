"""Which version is `champion`: the gate, its decisions, and the way back.

A version passes when every gate metric reaches its floor and none is worse than the champion's
beyond the interval of their difference. Every decision is a tag of the version (`gate.*`), and the
last champions are listed in the model's tag `champions`; `rollback` goes back along it.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from tasks.description import LONGEST_TAG, estimates_in
from tasks.errors import ModelError
from tasks.gate import Gate, objections
from tasks.metrics.bootstrap import Difference, Estimate
from tasks.registry import Registry, alias_of, version_tags
from tasks.tracking import alone, registry_at

log = logging.getLogger(__name__)

CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "champions"
ROLLED_BACK = "gate.rolled_back"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What the gate said of a version.

    Attributes:
        alias: `champion` or `challenger`.
        reason: one line with the numbers.
        against: the champion's version before, which may be this one; empty where there was none.
        at: when, UTC.
    """

    alias: str
    reason: str
    against: str = ""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


def promote(
    registry: Registry | str,
    name: str,
    version: str,
    gate: Gate,
    paired: Mapping[str, Difference] | None = None,
    paired_with: str = "",
) -> Decision:
    """Make a version the champion if it passes the gate, else the challenger; record why.

    A champion that does not reach a floor any more loses the alias; one that does keeps the
    decision that made it champion. A version that was rolled back stays challenger until `rollback`
    names it.

    Args:
        registry: where.
        name: the registered model.
        version: whose metrics are among its tags.
        gate: what it must reach.
        paired: how it differs from a champion on the same pictures, where that is known.
        paired_with: that champion's version; where another one has come meanwhile, the two are
            compared by their intervals. Empty means the present one.

    Raises:
        ModelError: the version or one of its gate metrics is not there.
    """
    where = registry_at(registry)
    version_tags(where, name, version)
    with alone(where, name):
        decision = _decided(where, name, version, gate, (paired or {}, paired_with))
        earlier = _earlier(where, name, version)
        if earlier is not None and _is_said(earlier, decision, version):
            return earlier
        _apply(where, name, version, decision)
    return decision


def _earlier(where: Registry, name: str, version: str) -> Decision | None:
    """Return the decision by which a version has its alias now; None when it has none."""
    tags = version_tags(where, name, version)
    told = {one.name: tags.get(f"gate.{one.name}") for one in fields(Decision)}
    if not told["alias"] or alias_of(where, name, told["alias"]) != version:
        return None
    return Decision(**{name: value or "" for name, value in told.items()})


def _is_said(earlier: Decision, now: Decision, version: str) -> bool:
    """True when a decision adds nothing to an earlier one of the same version."""
    if earlier.alias != now.alias:
        return False
    is_champion_already = now.alias == CHAMPION and now.against == version
    same = (earlier.against, earlier.reason) == (now.against, now.reason[:LONGEST_TAG])
    return is_champion_already or same


def _decided(
    where: Registry,
    name: str,
    version: str,
    gate: Gate,
    known: tuple[Mapping[str, Difference], str],
) -> Decision:
    tags, before = version_tags(where, name, version), alias_of(where, name, CHAMPION)
    paired, paired_with = known
    mine = estimates_in(tags)
    theirs: dict[str, Estimate] = {}
    if before not in ("", version):
        theirs = estimates_in(version_tags(where, name, before))
    against = objections(mine, gate, theirs, paired if paired_with in ("", before) else {})
    if tags.get(ROLLED_BACK):
        against.append(f"it was rolled back at {tags[ROLLED_BACK]}")
    told = ", ".join(f"{metric} {mine[metric]}" for metric in gate.floors)
    if against:
        return Decision(alias=CHALLENGER, reason="; ".join(against), against=before)
    if theirs:
        reason = f"{told}; not worse than version {before} beyond the interval"
        return Decision(alias=CHAMPION, reason=reason, against=before)
    reason = f"{told}; every floor is reached"
    return Decision(alias=CHAMPION, reason=reason, against=before)


def rollback(registry: Registry | str, name: str, to: str = "") -> tuple[str, Decision]:
    """Give the alias `champion` back to an earlier version; return it with the decision.

    Args:
        registry: where.
        name: the registered model.
        to: a version; empty takes the champion before the present one that was not itself rolled
            back.

    Raises:
        ModelError: there is no such model or version, or no earlier champion.
    """
    where = registry_at(registry)
    alias_of(where, name, CHAMPION)
    with alone(where, name):
        return _rolled_back(where, name, to)


def _rolled_back(where: Registry, name: str, to: str) -> tuple[str, Decision]:
    now = alias_of(where, name, CHAMPION)
    listed = history(where, name)
    # The first of the list may have taken over from one that is older than the list.
    earlier = [v for one in listed for v in (one["against"], one["version"]) if v]
    usable = [v for v in earlier if v != now and not _is_out(where, name, v)]
    if not to and not usable:
        known = ", ".join(dict.fromkeys(earlier)) or "none"
        raise ModelError(
            f"{name} has no champion before the present one to go back to (champions so far: "
            f"{known}); name a version with --to"
        )
    version = to or usable[-1]
    version_tags(where, name, version)
    if version == now:
        raise ModelError(f"{name} version {version} is the champion already")
    decision = Decision(alias=CHAMPION, reason=f"rolled back from version {now}", against=now)
    if now:
        where.client.set_model_version_tag(name, now, ROLLED_BACK, decision.at)
    where.client.delete_model_version_tag(name, version, ROLLED_BACK)
    _apply(where, name, version, decision)
    return version, decision


def history(registry: Registry | str, name: str) -> list[dict[str, Any]]:
    """Return the last champions of a model in order: version, at, reason, against.

    Raises:
        ModelError: there is no such model.
    """
    where = registry_at(registry)
    alias_of(where, name, CHAMPION)
    tags = where.client.get_registered_model(name).tags
    return list(json.loads(tags.get(HISTORY, "[]")))


def _is_out(where: Registry, name: str, version: str) -> bool:
    """True when a version was rolled back, or is no more."""
    try:
        return ROLLED_BACK in version_tags(where, name, version)
    except ModelError:
        return True


def _fitting(listed: list[dict[str, Any]]) -> str:
    """Return the newest champions that fit into a tag, as JSON."""
    told = json.dumps(listed)
    return told if len(told) <= LONGEST_TAG or len(listed) == 1 else _fitting(listed[1:])


def _apply(where: Registry, name: str, version: str, decision: Decision) -> None:
    """Record a decision, then move the alias."""
    for key, value in asdict(decision).items():
        where.client.set_model_version_tag(name, version, f"gate.{key}", value[:LONGEST_TAG])
    if decision.alias == CHAMPION and decision.against != version:
        entry = {"version": version, **asdict(decision)}
        where.client.set_registered_model_tag(
            name, HISTORY, _fitting([*history(where, name), entry])
        )
    if decision.alias == CHALLENGER and decision.against == version:
        where.client.delete_registered_model_alias(name, CHAMPION)
    elif decision.alias == CHAMPION and alias_of(where, name, CHALLENGER) == version:
        where.client.delete_registered_model_alias(name, CHALLENGER)
    where.client.set_registered_model_alias(name, decision.alias, version)
    log.info("%s version %s is %s: %s", name, version, decision.alias, decision.reason)
