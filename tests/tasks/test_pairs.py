"""A person's own pictures become a batch of the lake, whole, once, and whatever they lie in."""

import io
import json
import logging
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks import rows
from tasks.errors import InputError
from tasks.pairs.reading import read_pairs
from tasks.pairs.taking import take_pairs
from tasks.samples import Samples, selection_digest
from tasks.storage import Lake, open_lake
from tests.small_lake import COLOURS, jpeg_of

TEXTS = {"red": ["a red wall", "something red"], "green": ["a green wall"], "blue": ["blue"]}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(str(tmp_path / "lake"), create=True)


def picture(name: str) -> bytes:
    return jpeg_of(COLOURS[name])


def as_folder(where: Path) -> Path:
    for name, texts in TEXTS.items():
        (where / "deep").mkdir(parents=True, exist_ok=True)
        (where / "deep" / f"{name}.JPG").write_bytes(picture(name))
        (where / "deep" / f"{name}.txt").write_text("\n".join(texts) + "\n\n")
    return where


def records() -> list[dict[str, Any]]:
    listed = [{"image": f"{name}.jpg", "caption": texts} for name, texts in TEXTS.items()]
    # The same picture again, as in lists with a caption a line.
    return [*listed, {"image": "red.jpg", "text": "a red wall"}]


def write_pictures(where: Path) -> Path:
    where.mkdir()
    for name in TEXTS:
        (where / f"{name}.jpg").write_bytes(picture(name))
    return where


def as_jsonl(where: Path) -> Path:
    path = write_pictures(where) / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records()) + "\n\n")
    return path


def as_json(where: Path) -> Path:
    path = write_pictures(where) / "pairs.json"
    path.write_text(json.dumps(records()))
    return path


def as_parquet_of_paths(where: Path) -> Path:
    path = write_pictures(where) / "pairs.parquet"
    flat = [{"image": r["image"], "text": t} for r in records()[:3] for t in r["caption"]]
    pq.write_table(pa.Table.from_pylist(flat), path)
    return path


def as_parquet_of_bytes(where: Path) -> Path:
    where.mkdir()
    held = [
        {"image": {"bytes": picture(name), "path": f"{name}.jpg"}, "caption": texts}
        for name, texts in TEXTS.items()
    ]
    pq.write_table(pa.Table.from_pylist(held), where / "pairs.parquet", row_group_size=2)
    return where / "pairs.parquet"


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def as_shards(where: Path) -> Path:
    where.mkdir()
    for number, (name, texts) in enumerate(TEXTS.items()):
        with tarfile.open(where / f"{number:05d}.tar", "w") as tar:
            add(tar, f"{name}.jpg", picture(name))
            if number == 1:
                add(tar, f"{name}.json", json.dumps({"caption": texts[0]}).encode())
            else:
                add(tar, f"{name}.txt", "\n".join(texts).encode())
    return where


KINDS = [as_folder, as_jsonl, as_json, as_parquet_of_paths, as_parquet_of_bytes, as_shards]


@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_comes_with_its_own_texts(lake: Lake, tmp_path: Path, kind: Any) -> None:
    name = take_pairs(lake, kind(tmp_path / "own"))
    samples = Samples(lake, (name,), 8)
    found: dict[str, list[str]] = {}
    for sample in samples.samples:
        colour = samples.images([sample.image])[0, 4, 4].tolist()
        found.setdefault(nearest(colour), []).append(sample.text)
    assert found == TEXTS
    assert len(samples.pictures) == 3
    assert {s.source for s in samples.samples} == {"human"}


def nearest(colour: list[int]) -> str:
    def distance(name: str) -> int:
        return sum(abs(a - b) for a, b in zip(COLOURS[name], colour, strict=True))

    return min(COLOURS, key=distance)


def test_one_picture_has_one_key_wherever_it_came_from(lake: Lake, tmp_path: Path) -> None:
    names = [take_pairs(lake, kind(tmp_path / kind.__name__)) for kind in (as_folder, as_shards)]
    keys = [{s.key for s in Samples(lake, (name,), 8).samples} for name in names]
    assert keys[0] == keys[1]
    assert selection_digest(lake, names[0]) == selection_digest(lake, names[1])


def test_the_same_files_are_taken_in_once_and_changed_ones_anew(lake: Lake, tmp_path: Path) -> None:
    own = as_folder(tmp_path / "own")
    name = take_pairs(lake, own)
    written = lake.path(f"web/{name}/00000.tar")
    stamp = Path(written).stat().st_mtime_ns
    assert take_pairs(lake, own) == name
    assert Path(written).stat().st_mtime_ns == stamp
    (own / "deep" / "blue.txt").write_text("a blue wall, said better")
    other = take_pairs(lake, own)
    assert other != name
    assert "a blue wall, said better" in Samples(lake, (other,), 8).texts


def test_a_question_is_one_text_with_its_answers_below(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "red.jpg").write_bytes(picture("red"))
    (folder / "red.txt").write_text("which colour?\nred\nred\n")
    listed = folder / "q.jsonl"
    asked = {"image": "red.jpg", "question": "which\ncolour?", "answers": ["red", "red"]}
    single = {"image": "red.jpg", "question": "is it red?", "answer": "yes"}
    listed.write_text(f"{json.dumps(asked)}\n{json.dumps(single)}\n")
    assert [p.texts for p in read_pairs(folder, questions=True)] == [("which colour?\nred\nred",)]
    texts = [p.texts[0] for p in read_pairs(listed, questions=True)]
    assert texts == ["which colour?\nred\nred", "is it red?\nyes"]


def test_a_broken_picture_is_a_row_and_a_line_and_the_rest_stays(
    lake: Lake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = as_folder(tmp_path / "own")
    (own / "broken.jpg").write_bytes(b"no picture")
    (own / "broken.txt").write_text("a broken one")
    (own / "silent.jpg").write_bytes(jpeg_of(COLOURS["black"]))
    with caplog.at_level(logging.WARNING):
        name = take_pairs(lake, own)
    assert "1 pictures cannot be decoded: broken.jpg" in caplog.text
    assert "1 of 5 pictures have no text" in caplog.text
    web = rows.read_rows(lake, f"web/{name}/00000.parquet", ["url", "outcome"]).to_pylist()
    assert {"url": "broken.jpg", "outcome": "not_an_image"} in web
    assert len(web) == 5
    assert len(Samples(lake, (name,), 8)) == 4


def nothing_was_taken(lake: Lake) -> bool:
    return not any(lake.folders(name) for name in ("selections", "web", "plans"))


def test_a_shard_with_a_broken_member_is_a_line_and_nothing_is_taken(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.pairs.taking.SHARD_SIZE", 1)  # so that the first ones are written
    shards = as_shards(tmp_path / "own")
    whole = (shards / "00002.tar").read_bytes()
    (shards / "00002.tar").write_bytes(whole[:700])
    with pytest.raises(InputError, match=r"00002\.tar is damaged .*Nothing of this source"):
        take_pairs(lake, shards)
    assert nothing_was_taken(lake)
    # Once it is whole the same command does it all.
    (shards / "00002.tar").write_bytes(whole)
    assert len(Samples(lake, (take_pairs(lake, shards),), 8)) == 4


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.jsonl", b'{"image": "red.jpg"\n', "line 1 of .* is not JSON"),
        ("a.jsonl", b'{"picture": "red.jpg"}\n', 'record 1 of .* has no "image"'),
        ("a.jsonl", b'{"image": "red.jpg", "caption": " "}', 'no "caption" or "text"'),
        ("a.jsonl", b'{"image": "lost.jpg", "caption": "a"}', "names lost.jpg, which is not in"),
        ("a.jsonl", b"\xff\xfe", "is not UTF-8"),
        ("a.json", b'{"image": "red.jpg"}', "holds a dict; it wants a list"),
        ("a.parquet", b"PAR1 and no more", "is not a readable Parquet file"),
        ("a.tar", b"x" * 1024, r"a\.tar is damaged"),
        ("a.csv", b"image,caption", "cannot be read as pictures with texts"),
        ("a.jsonl", b"", "holds 0 pictures and none has a caption"),
        ("a.jsonl", b'{"image": "red.jpg", "caption": {"en": "a"}}', "caption of .* holds a dict"),
        ("a.jsonl", b'{"image": "red.jpg", "caption": ["a", ["b"]]}', "caption of .* holds a list"),
        (
            "a.jsonl",
            b'{"caption": "red.jpg", "image": "' + b"a wall " * 50 + b'"}',
            "cannot be read",
        ),
        ("a.jsonl", b'{"image": "red.jpg", "caption": NaN}', 'no "caption" or "text"'),
    ],
)
def test_what_cannot_be_read_is_a_line(
    lake: Lake, tmp_path: Path, name: str, content: bytes, line: str
) -> None:
    path = write_pictures(tmp_path / "own") / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=line):
        take_pairs(lake, path)
    assert nothing_was_taken(lake)


def test_a_folder_without_texts_and_no_folder_at_all_are_lines(lake: Lake, tmp_path: Path) -> None:
    own = write_pictures(tmp_path / "own")
    with pytest.raises(InputError, match=r"3 pictures and none has a caption .*dog\.txt"):
        take_pairs(lake, own)
    with pytest.raises(InputError, match=r"there is no .*nowhere; give a folder"):
        take_pairs(lake, tmp_path / "nowhere")


def test_answers_of_another_form_are_a_line(tmp_path: Path) -> None:
    asked = {"image": "red.jpg", "question": "which?", "answers": [{"answer": "red"}]}
    (write_pictures(tmp_path / "own") / "q.jsonl").write_text(json.dumps(asked))
    with pytest.raises(InputError, match=r"answers of record 1 of .*q\.jsonl holds a dict"):
        list(read_pairs(tmp_path / "own" / "q.jsonl", questions=True))
    twice = {"image": "red.jpg", "question": ["which?", "where?"], "answer": "red"}
    (tmp_path / "own" / "q.jsonl").write_text(json.dumps(twice))
    with pytest.raises(InputError, match=r"record 1 of .*q\.jsonl has 2 questions"):
        list(read_pairs(tmp_path / "own" / "q.jsonl", questions=True))


def test_marks_that_end_a_line_elsewhere_end_no_record(tmp_path: Path) -> None:
    texts = ["a wall\u2028that is red", "a\x85wall"]
    listed = [{"image": "red.jpg", "caption": text} for text in texts]
    path = write_pictures(tmp_path / "own") / "pairs.jsonl"
    lines = (json.dumps(one, ensure_ascii=False) for one in listed)
    path.write_text("\r\n".join(lines), encoding="utf-8")
    found = [pair.texts for pair in read_pairs(path)]
    assert found == [("a wall that is red",), ("a wall",)]


def test_a_text_that_was_cut_within_a_letter_loses_that_letter(lake: Lake, tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "own") / "pairs.jsonl"
    path.write_text('{"image": "red.jpg", "caption": "a red wall \\ud83d"}')
    assert Samples(lake, (take_pairs(lake, path),), 8).texts == ["a red wall"]


def test_files_that_macos_packs_beside_pictures_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "own.tar"
    with tarfile.open(path, "w") as tar:
        for folder in ("", "deep/"):
            for hidden in ("._", ""):
                add(tar, f"{folder}{hidden}red.jpg", picture("red"))
                add(tar, f"{folder}{hidden}red.txt", b"a red wall")
    assert [pair.texts for pair in read_pairs(path)] == [("a red wall",)] * 2


def test_pictures_of_a_table_lie_in_their_shard_as_pictures(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"image": [picture("red")], "caption": ["a red wall"]}), path)
    name = take_pairs(lake, path)
    with tarfile.open(lake.path(f"web/{name}/00000.tar")) as tar:
        endings = {Path(member).suffix for member in tar.getnames()}
    assert endings == {".jpg", ".txt", ".json"}


def test_pictures_of_a_list_may_lie_elsewhere(lake: Lake, tmp_path: Path) -> None:
    path = as_jsonl(tmp_path / "own")
    moved = path.rename(tmp_path / "pairs.jsonl")
    assert len(Samples(lake, (take_pairs(lake, moved, images=tmp_path / "own"),), 8)) == 4


def test_texts_of_another_encoding_are_a_line_and_a_mark_before_utf8_is_no_text(
    lake: Lake, tmp_path: Path
) -> None:
    own = write_pictures(tmp_path / "own")
    (own / "red.txt").write_bytes("ein grüner Baum".encode("latin-1"))
    with pytest.raises(InputError, match=r"red\.txt is not UTF-8 text .*; save it as UTF-8"):
        take_pairs(lake, own)
    assert nothing_was_taken(lake)
    (own / "red.txt").write_text("ein roter Baum", encoding="utf-8-sig")
    (own / "a.jsonl").write_text('{"image": "red.jpg", "caption": "rot"}', encoding="utf-8-sig")
    assert Samples(lake, (take_pairs(lake, own),), 8).texts == ["ein roter Baum"]
    assert Samples(lake, (take_pairs(lake, own / "a.jsonl"),), 8).texts == ["rot"]
