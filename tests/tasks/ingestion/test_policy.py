"""What headers ask is read as they mean it, to us and to everybody, and each can be switched."""

import pytest

from tasks.ingestion.fetching.policy import OPT_OUT_DIRECTIVES, forbids, reserves, retry_after_s
from tasks.ingestion.sources.warc import opted_out
from tasks.rows import Outcome
from tests.fetching import BODY, one, quick
from tests.web import Answer

NOW_S = 1_784_000_000.0  # Tue, 14 Jul 2026 03:33:20 GMT


@pytest.mark.parametrize(
    ("values", "is_forbidden"),
    [
        (["noai"], True),
        (["NoImageAI"], True),
        (["index, noml"], True),
        ([" none "], True),
        (["all"], False),
        ([""], False),
        (["noai-not-quite"], False),
        (["nofollow, noarchive"], False),
        (["index", "noimageindex"], True),
        (["caplift: noai"], True),
        (["Caplift: noai"], True),
        (["cap: noai"], False),
        (["otherbot: noai"], False),
        (["otherbot: noai, noindex"], False),
        (["otherbot: noai, caplift: noindex"], True),
        (["otherbot: noai, *: noindex"], True),
        (["otherbot: index", "noai"], True),
        (["max-snippet: 3, noai"], True),
        (["max-image-preview: none"], False),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST, noai"], True),
        (["unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noai"], True),
        (["unavailable_after: 2010-06-25T15:00:00Z"], False),
        (["," * 1000 + "noai"], True),
        ([":::noai"], False),
    ],
)
def test_an_x_robots_tag_forbids_what_it_says_to_whom_it_says_it(
    values: list[str], is_forbidden: bool
) -> None:
    assert forbids(values, OPT_OUT_DIRECTIVES, "Caplift") is is_forbidden


def test_mining_is_reserved_by_a_one_alone() -> None:
    assert reserves(["1"])
    assert reserves(["0", " 1 "])
    assert not reserves(["0"])
    assert not reserves(["", "yes"])


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 14 Jul 2026 03:34:20 GMT", 60.0),
        ("Tuesday, 14-Jul-26 03:34:20 GMT", 60.0),
        ("Mon, 13 Jul 2026 03:33:20 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
        ("9" * 40, None),
        ("Tue, 99 Jul 2026 03:34:20 GMT", None),
        ("Mon, 01 Jan 0001 00:00:00 -2359", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after_s(value, NOW_S) == seconds


@pytest.mark.parametrize(
    ("headers", "switch"),
    [
        ({"X-Robots-Tag": "noai"}, {"respect_opt_outs": False}),
        ({"X-Robots-Tag": "noml"}, {"disallowed_header_directives": ("noai", "NOINDEX")}),
        ({"TDM-Reservation": "1"}, {"respect_tdm_reservation": False}),
        ({"TDM-Reservation": "1"}, {"respect_opt_outs": False}),
    ],
)
def test_each_opt_out_is_obeyed_and_can_be_switched_off(
    headers: dict[str, str], switch: dict[str, object]
) -> None:
    answer = Answer(body=BODY, headers=headers)
    assert one(answer)[0].outcome is Outcome.OPTED_OUT
    assert one(answer, quick(**switch))[0].body == BODY
    everything = {"X-Robots-Tag": "noindex", "TDM-Reservation": "1"}
    is_all_off = "respect_opt_outs" in switch
    found, _ = one(Answer(body=BODY, headers=everything), quick(**switch))
    assert (found.outcome is Outcome.KEPT) is is_all_off
    # An archived answer is read in the same way.
    robots = [headers[name] for name in headers if name == "X-Robots-Tag"]
    reserved = [headers[name] for name in headers if name == "TDM-Reservation"]
    assert opted_out(robots, reserved, quick())
    assert not opted_out(robots, reserved, quick(**switch))
    assert opted_out(["noindex"], ["1"], quick(**switch)) is not is_all_off
