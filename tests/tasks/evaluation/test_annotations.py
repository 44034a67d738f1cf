"""Published annotation files load as they come, and their pictures are found.

The files written here have the layouts, field by field, in which COCO, Karpathy, NoCaps, BLIP and
Flickr30k were published.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks import rows
from tasks.errors import InputError
from tasks.evaluation.annotations import Annotated, read_annotations
from tasks.evaluation.files import file_pictures, file_prints, open_folder
from tests.annotation_files import written

COCO: dict[str, Any] = {
    "info": {"year": 2014, "version": "1.0"},
    "licenses": [{"id": 3, "name": "BY-NC-ND"}],
    "images": [
        {
            "license": 3,
            "file_name": "COCO_val2014_000000391895.jpg",
            "coco_url": "http://images.cocodataset.org/val2014/COCO_val2014_000000391895.jpg",
            "height": 360,
            "width": 640,
            "date_captured": "2013-11-14 11:18:45",
            "flickr_url": "http://farm9.staticflickr.com/8186/8119368305_4e622c8349_z.jpg",
            "id": 391895,
        },
        {"file_name": "COCO_val2014_000000522418.jpg", "id": 522418},
        {"file_name": "COCO_val2014_000000184613.jpg", "id": 184613},
    ],
    "annotations": [
        {"image_id": 522418, "id": 681330, "caption": "A woman cutting a cake."},
        {"image_id": 391895, "id": 770337, "caption": "A man with a red helmet on a moped. "},
        {"image_id": 391895, "id": 771687, "caption": "Man riding a motor bike."},
    ],
}
KARPATHY: dict[str, Any] = {
    "dataset": "coco",
    "images": [
        {
            "filepath": "val2014",
            "filename": "COCO_val2014_000000391895.jpg",
            "sentids": [770337, 771687],
            "imgid": 0,
            "split": split,
            "cocoid": number,
            "sentences": [
                {
                    "tokens": ["a", "man"],
                    "raw": f"A man, {split}.",
                    "imgid": 0,
                    "sentid": 770337,
                },
                {"tokens": ["man"], "raw": "Man riding.", "imgid": 0, "sentid": 771687},
            ],
        }
        for split, number in (("test", 391895), ("restval", 7), ("train", 11), ("val", 13))
    ],
}
for number, image in enumerate(KARPATHY["images"]):
    image["filename"] = f"COCO_val2014_{number:012d}.jpg"
FLICKR_KARPATHY = {
    "images": [
        {
            "sentids": [0, 1],
            "imgid": 0,
            "sentences": [
                {"tokens": ["two"], "raw": "Two men.", "imgid": 0, "sentid": 0},
                {"tokens": ["shaggy"], "raw": "Shaggy hair.", "imgid": 0, "sentid": 1},
            ],
            "split": "test",
            "filename": "1000092795.jpg",
        }
    ],
    "dataset": "flickr30k",
}
NOCAPS = {
    "licenses": [],
    "info": {"description": "nocaps validation"},
    "images": [
        {
            "license": 0,
            "open_images_id": f"{number:016x}",
            "file_name": f"{number:016x}.jpg",
            "coco_url": f"https://s3.amazonaws.com/nocaps/val/{number:016x}.jpg",
            "date_captured": "2018-11-06 11:04:33",
            "id": number,
            "width": 1024,
            "height": 732,
            "domain": domain,
        }
        for number, domain in enumerate(("in-domain", "near-domain", "out-domain"))
    ],
    "annotations": [
        {"image_id": number, "id": 10 * number + at, "caption": f"caption {at} of {number}"}
        for number in range(3)
        for at in range(2)
    ],
}
BLIP = [
    {"image": "val2014/COCO_val2014_000000391895.jpg", "caption": ["A man.", "Man riding."]},
    {"image": "val2014/COCO_val2014_000000060623.jpg", "caption": ["A girl."]},
]
BLIP_TRAIN = [
    {"caption": "A woman.", "image": "val2014/COCO_val2014_000000522418.jpg", "image_id": "coco_5"},
    {"caption": "A cake.", "image": "val2014/COCO_val2014_000000522418.jpg", "image_id": "coco_5"},
]
BLIP_NOCAPS = [
    {"img_id": 4, "image": "val/a.jpg", "domain": "in-domain", "caption": ["one", "two"]},
]
FLICKR_TOKEN = (
    "1000092795.jpg#0\tTwo young guys, with shaggy hair .\n"
    "1000092795.jpg#1\tTwo young | White males .\n"
    "10002456.jpg#0\tSeveral men in hard hats .\n"
)
FLICKR_BARS = (
    "image_name| comment_number| comment\n"
    "1000092795.jpg| 0| Two young guys , with hair .\n"
    "1000092795.jpg| 1| Two | males .\n"
)
FLICKR_COMMAS = (
    'image,caption\n1000268201.jpg,"A child, in a dress ."\n1000268201.jpg,A girl , going in .\n'
)


def test_coco_comes_with_ids_and_addresses_and_without_pictures_that_have_no_caption(
    tmp_path: Path,
) -> None:
    for name in ("captions_val2014.json", "captions_val2014.json.gz"):
        found = read_annotations(written(tmp_path, name, COCO))
        first = "COCO_val2014_000000391895.jpg"
        texts = ("A man with a red helmet on a moped. ", "Man riding a motor bike.")
        address = f"http://images.cocodataset.org/val2014/{first}"
        assert found[0] == Annotated(first, texts, "391895", address)
        assert [one.number for one in found] == ["391895", "522418"]


def test_karpathys_splits_are_apart_and_restval_is_for_training(tmp_path: Path) -> None:
    path = written(tmp_path, "dataset_coco.json", KARPATHY)
    numbers = {
        split: [one.number for one in read_annotations(path, split)]
        for split in ("test", "val", "train")
    }
    assert numbers == {"test": ["391895"], "val": ["13"], "train": ["7", "11"]}
    (one,) = read_annotations(path)
    assert one.name == "val2014/COCO_val2014_000000000000.jpg"
    assert one.texts == ("A man, test.", "Man riding.")
    (one,) = read_annotations(written(tmp_path, "dataset_flickr30k.json", FLICKR_KARPATHY))
    assert (one.name, one.texts) == ("1000092795.jpg", ("Two men.", "Shaggy hair."))


def test_nocaps_comes_with_its_domains(tmp_path: Path) -> None:
    found = read_annotations(written(tmp_path, "nocaps_val_4500_captions.json", NOCAPS))
    assert [one.domain for one in found] == ["in-domain", "near-domain", "out-domain"]
    assert found[2].texts == ("caption 0 of 2", "caption 1 of 2")
    (one,) = read_annotations(written(tmp_path, "nocaps_val.json", BLIP_NOCAPS))
    assert one == Annotated("val/a.jpg", ("one", "two"), "4", domain="in-domain")


def test_blips_lists_come_with_one_text_or_with_several(tmp_path: Path) -> None:
    found = read_annotations(written(tmp_path, "coco_karpathy_test.json", BLIP))
    assert [(one.name[-10:], len(one.texts)) for one in found] == [
        ("391895.jpg", 2),
        ("060623.jpg", 1),
    ]
    (one,) = read_annotations(written(tmp_path, "coco_karpathy_train.json", BLIP_TRAIN))
    assert (one.number, one.texts) == ("coco_5", ("A woman.", "A cake."))


def test_flickrs_tables_keep_commas_and_bars_in_their_texts(tmp_path: Path) -> None:
    found = read_annotations(written(tmp_path, "results_20130124.token", FLICKR_TOKEN))
    assert [one.name for one in found] == ["1000092795.jpg", "10002456.jpg"]
    assert found[0].texts == (
        "Two young guys, with shaggy hair .",
        "Two young | White males .",
    )
    (one,) = read_annotations(written(tmp_path, "results.csv", FLICKR_BARS))
    assert one.texts == ("Two young guys , with hair .", "Two | males .")
    (one,) = read_annotations(written(tmp_path, "captions.txt", FLICKR_COMMAS))
    assert one.texts == ("A child, in a dress .", "A girl , going in .")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"images": [{"id": 1', "no caption annotation file that is known"),
        ('{"captions": []}', r"no caption annotation file that is known \(KeyError 'images'\)"),
        ({"images": [{"id": 1}], "annotations": []}, "no caption annotation file"),
        ("[1, 2]", "no caption annotation file"),
        ("", "no caption annotation file"),
        ("some words\n", "no caption annotation file"),
        ({"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": []}, r"\(1 without\)"),
        (FLICKR_KARPATHY | {"images": []}, "no picture with a caption in split 'test'"),
    ],
)
def test_what_is_no_annotation_file_is_refused_in_one_line(
    tmp_path: Path, content: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said) as raised:
        read_annotations(written(tmp_path, "file.json", content))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_or_cut_short_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_annotations(str(tmp_path / "none.json"))
    whole = Path(written(tmp_path, "captions.json.gz", COCO)).read_bytes()
    (tmp_path / "captions.json.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_annotations(str(tmp_path / "captions.json.gz"))


def test_a_picture_is_found_by_its_whole_name_or_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "val").mkdir()
    (tmp_path / "val" / "a.jpg").write_bytes(b"abc")
    (tmp_path / "b.jpg").write_bytes(b"defgh")
    folder = open_folder(str(tmp_path))
    found = file_pictures(folder, [("val/a.jpg", ""), ("val/b.jpg", "http://site/B.jpg")])
    assert [(one.tar, one.size) for one in found] == [("val/a.jpg", 3), ("b.jpg", 5)]
    assert found[1].key == rows.key_of("http://site/B.jpg")
    with pytest.raises(InputError, match=r"1 of 2 pictures are not in .*, such as c\.jpg"):
        file_pictures(folder, [("b.jpg", ""), ("c.jpg", "")])
    with pytest.raises(InputError, match=r"val/a\.jpg in .* is no picture"):
        file_prints(folder, found[:1])
    with pytest.raises(InputError, match="no folder of pictures"):
        open_folder(str(tmp_path / "none"))


def coco(images: list[object], annotations: list[object]) -> str:
    return json.dumps({"images": images, "annotations": annotations})


ONE: list[object] = [{"id": 1, "file_name": "a.jpg"}]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "null",
        "[null]",
        "[" * 100_000,
        '{"images": [{"id": 1, "file_name": "a.jp',
        coco(ONE, [{"image_id": 1, "caption": None}]),
        coco(ONE, [{"image_id": 1, "caption": 7}]),
        coco(ONE, [{"image_id": 1, "caption": ["a"]}]),
        coco(ONE, [{"image_id": "1", "caption": "a cat"}]),
        coco([{"id": 1, "file_name": None}], [{"image_id": 1, "caption": "a cat"}]),
        coco([{"id": [1], "file_name": "a.jpg"}], [{"image_id": 1, "caption": "a cat"}]),
        # Of two pictures with one id nobody knows which a caption is of.
        coco([*ONE, {"id": 1, "file_name": "b.jpg"}], [{"image_id": 1, "caption": "a cat"}]),
        '[{"image": 5, "caption": "a cat"}]',
        '[{"image": "a.jpg", "caption": {"x": 1}}]',
        '[{"image": "a.jpg", "caption": [null]}]',
        '{"images": [{"filename": 3, "split": "test", "sentences": [{"raw": "a"}]}]}',
    ],
    ids=lambda content: content[:60] or "empty",
)
def test_a_malformed_file_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError) as said:
        read_annotations(written(tmp_path, "captions.json", content))
    assert len(str(said.value).splitlines()) == 1


def test_a_file_is_read_whatever_ends_its_lines_or_begins_it(tmp_path: Path) -> None:
    marked = "\ufeff" + coco(ONE, [{"image_id": 1, "caption": "a cat"}])
    (one,) = read_annotations(written(tmp_path, "marked.json", marked))
    assert one.texts == ("a cat",)
    lines = "a.jpg#0\ta \u2028cat\r\n\r\nb.jpg#0\ttwo\x85dogs\r\n"
    found = read_annotations(written(tmp_path, "lines.token", lines))
    assert [one.texts for one in found] == [("a \u2028cat",), ("two\x85dogs",)]


def test_a_picture_is_not_looked_for_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"not in .*own, such as \.\./secret\.jpg"):
        file_pictures(open_folder(str(tmp_path / "own")), [("../secret.jpg", "")])
