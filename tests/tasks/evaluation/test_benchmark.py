"""A benchmark is evaluated from its own files, and looked for in what the model was trained on."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from models.blip import Blip
from models.decoding import Decoding
from models.presets import preset
from models.tokenization import Tokenizer
from tasks import rows
from tasks.checkpoints import save_checkpoint
from tasks.evaluation.report import compare
from tasks.evaluation.settings import Benchmark, Evaluation
from tasks.evaluation.stage import evaluate
from tasks.metrics.bleu import corpus_bleu
from tasks.metrics.tokens import words
from tasks.storage import Lake
from tests.annotation_files import written
from tests.small_lake import COLOURS, caption_of, jpeg_of, picture_key, write_lake, write_selection

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
