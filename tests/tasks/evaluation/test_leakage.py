"""A training picture among the evaluation pictures is found by key, by bytes and by likeness."""

from pathlib import Path

from tasks import rows
from tasks.evaluation.leakage import batch_prints, leakage, trained_on
from tasks.storage import Lake, Shard, open_lake

ZEBRA = 0xAAAA_AAAA_AAAA_AAAA


def write_web(lake: Lake, batch: str, pictures: dict[str, tuple[str, int | None]]) -> Shard:
    shard = Shard(batch, "00000")
    listed = [
        {"key": key, "sha256": sha256, "phash": phash} for key, (sha256, phash) in pictures.items()
    ]
    lake.publish_json(lake.plan_record(batch), {"shards": 1})
    rows.write_rows(lake, lake.rows("web", "", shard), rows.table_of(listed, rows.WEB))
    return shard


def select(lake: Lake, name: str, shard: Shard, keys: list[str]) -> None:
    chosen = [{"key": key, "text": "a cat"} for key in keys]
    path = lake.rows("selections", name, shard)
    rows.write_rows(lake, path, rows.table_of(chosen, rows.SELECTIONS))


def test_each_kind_of_leak_is_counted_and_what_was_not_selected_is_none(tmp_path: Path) -> None:
    lake = open_lake(str(tmp_path / "lake"), create=True)
    write_web(
        lake,
        "evaluation",
        {
            "same-url": ("a", 0),
            "same-bytes": ("b", ZEBRA),
            "resized": ("c", ZEBRA ^ 0b1000_0001_0001),  # three bits from "near"
            "other": ("d", 0xFF),
            "unselected": ("e", 0xFFFF_0000),
            "no-print": ("", None),
        },
    )
    web = write_web(
        lake,
        "web",
        {
            "same-url": ("x", 0xF0F0_F0F0),
            "copy": ("b", 0x0F0F_0F0F_0F0F),
            "near": ("y", ZEBRA),
            "not-chosen": ("e", 0xFFFF_0000),
            "broken": ("", None),
        },
    )
    select(lake, "kept", web, ["same-url", "copy", "near", "broken"])
    keys = ["same-url", "same-bytes", "resized", "other", "unselected", "no-print"]
    found = leakage(lake, batch_prints(lake, "evaluation", keys), ["kept"])
    assert found.training_pictures == 4
    assert (found.by_key, found.by_sha256) == (1, 1)
    assert found.by_phash == 2  # "same-bytes" shows what "near" shows, and "resized" nearly so
    assert found.leaked == 2
    assert set(found.examples) == {"same-url", "same-bytes", "resized"}
    ours = batch_prints(lake, "evaluation", ["other"])
    assert leakage(lake, ours, ["kept"]).leaked == 0
    assert leakage(lake, ours, []).training_pictures == 0
    assert found.unknown == ()
    assert leakage(lake, ours, ["kept", "of-another-lake"]).unknown == ("of-another-lake",)


def test_a_model_has_seen_what_its_ancestors_have_seen() -> None:
    facts = {
        "selections": {"human": "d1"},
        "start_facts": {
            "selections": {"raw": "d2"},
            "start_facts": {"selections": {"older": "d3", "human": "d1"}},
        },
    }
    assert list(trained_on(facts).items()) == [("human", "d1"), ("raw", "d2"), ("older", "d3")]
    assert trained_on({}) == {}
