"""Published annotation files load as they come, and a benchmark is evaluated from its own files.

The files written here have the layouts, field by field, in which COCO, Karpathy, NoCaps, BLIP and
Flickr30k were published.
"""

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.blip import Blip
from models.decoding import Decoding
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.checkpoints import save_checkpoint
from tasks.errors import InputError
from tasks.evaluation.annotations import Annotated, read_annotations
from tasks.evaluation.files import file_pictures, open_folder
from tasks.evaluation.report import compare
from tasks.evaluation.settings import Benchmark, Evaluation
from tasks.evaluation.stage import evaluate
from tasks.metrics.bleu import corpus_bleu
from tasks.metrics.tokens import words
from tasks.storage import Lake
from tests.small_lake import COLOURS, caption_of, jpeg_of, picture_key, write_lake, write_selection

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


def written(folder: Path, name: str, content: Any) -> str:
    text = content if isinstance(content, str) else json.dumps(content)
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return str(path)


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
    with pytest.raises(InputError, match="no folder of pictures"):
        open_folder(str(tmp_path / "none"))


N = 5
HOW = Evaluation(
    decoding=Decoding(method="greedy", max_length=9), rerank_k=3, bootstrap=29, batch_size=3
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a batch of seven colours to train on, and a NoCaps of five files beside it.

    The second file is at an address that training has.
    """
    root = tmp_path_factory.mktemp("benchmark")
    lake = write_lake(root / "lake", batch="web", counts=(7,))
    write_selection(lake, "kept", "web")
    tokenizer = Tokenizer.train([caption_of(number) for number in range(11)], 90)
    for run, seed in (("a", 3), ("b", 5)):
        model = Blip(preset("test"), tokenizer.vocab_size, seed=seed)
        save_checkpoint(lake, run, 1, model, tokenizer, {"selections": {"kept": "digest"}})
    (root / "val").mkdir()
    images, annotations = [], []
    for number, colour in enumerate(list(COLOURS.values())[:N]):
        (root / "val" / f"{number}.jpg").write_bytes(jpeg_of(colour))
        address = "http://site/web/1.jpg" if number == 1 else f"http://nocaps/{number}.jpg"
        domain = "in-domain" if number < 2 else "out-domain"
        name = f"{number}.jpg"
        images.append({"id": number, "file_name": name, "coco_url": address, "domain": domain})
        texts = [caption_of(number), f"something {number}"]
        annotations += [{"image_id": number, "caption": text} for text in texts]
    written(root, "nocaps.json", {"images": images, "annotations": annotations})
    return root


def test_a_benchmark_is_evaluated_from_its_own_files(place: Path) -> None:
    lake = Lake(str(place / "lake"))
    benchmark = Benchmark(annotations=str(place / "nocaps.json"), images=str(place / "val"))
    how = dataclasses.replace(HOW, benchmark=benchmark)
    report = evaluate(lake, "one", "checkpoints/a", how=how)
    assert (report.batch, report.images, report.texts) == ("nocaps.json test", N, 2 * N)
    table = rows.read_rows(lake, "evaluations/one/captions.parquet").to_pylist()
    captions = [words(row["caption"]) for row in table]
    references = [[words(text) for text in row["references"]] for row in table]
    assert report.scores["bleu_4"].value == pytest.approx(corpus_bleu(captions, references)[3])
    assert {"cider_d_in_domain", "cider_d_out_domain"} <= set(report.scores)
    weights = [np.array([row["cider_d_in_domain"] for row in table]).sum(axis=0)[1]]
    assert weights == [2]
    results = lake.read_json("evaluations/one/results.json")
    assert sorted(one["image_id"] for one in results) == list(range(N))
    assert {one["caption"] for one in results} == {row["caption"] for row in table}
    other = evaluate(lake, "two", "checkpoints/b", how=how)
    assert set(compare(lake, report, other)) == set(report.scores)


def test_a_benchmarks_pictures_are_looked_for_in_what_was_trained_on(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(str(place / "lake"))
    benchmark = Benchmark(annotations=str(place / "nocaps.json"), images=str(place / "val"))
    report = evaluate(
        lake, "leak", "checkpoints/a", how=dataclasses.replace(HOW, benchmark=benchmark)
    )
    assert report.leakage["training_pictures"] == 7
    assert report.leakage["by_key"] == 1
    assert report.leakage["examples"] == [picture_key("web", 1)]
    assert "1 evaluated pictures are among the training pictures" in caplog.text
