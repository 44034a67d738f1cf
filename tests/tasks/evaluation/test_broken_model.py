"""A model whose scores are no numbers is named as broken, in every exam that ranks by them."""

from pathlib import Path

import pytest
import torch

from models.blip import Blip
from models.decoding import Decoding
from models.presets import preset
from models.tokenization import Tokenizer
from tasks.checkpoints import save_checkpoint
from tasks.errors import ModelError
from tasks.evaluation.labels import Labels
from tasks.evaluation.report import is_evaluated
from tasks.evaluation.settings import Evaluation
from tasks.evaluation.stage import evaluate
from tasks.evaluation.zero_shot import ZeroShot, classify
from tests.judged import judged_root, lake_of

BROKEN = "checkpoints/broken"


def test_it_is_said_in_a_line_and_no_report_is_left(tmp_path: Path) -> None:
    root = judged_root(tmp_path)
    lake = lake_of(root)
    tokenizer = Tokenizer.train(["a red square", "a blue wall"], 120)
    model = Blip(preset("test"), tokenizer.vocab_size, seed=3)
    with torch.no_grad():
        model.vision_projection.weight.fill_(torch.nan)
    save_checkpoint(lake, "broken", 1, model, tokenizer, {"selections": {}})
    how = Evaluation(decoding=Decoding(method="greedy", max_length=7), rerank_k=2, bootstrap=7)
    with pytest.raises(ModelError, match="no number, so the model is broken") as said:
        evaluate(lake, "e", BROKEN, how=how)
    assert len(str(said.value).splitlines()) == 1
    labels = Labels(images=str(root / "train"))
    with pytest.raises(ModelError, match="no number, so the model is broken"):
        classify(lake, "z", BROKEN, ZeroShot(labels=labels, bootstrap=7))
    assert not is_evaluated(lake, "e")
    assert not is_evaluated(lake, "z")
