"""BLEU, ROUGE-L and CIDEr-D are what the papers define and what pycocoevalcap computes."""

import math
import random
import shutil

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.meteor.meteor import Meteor
from pycocoevalcap.rouge.rouge import Rouge

from tasks.errors import InputError
from tasks.metrics.bleu import bleu, bleu_counts, corpus_bleu
from tasks.metrics.bootstrap import measure_of
from tasks.metrics.captions import caption_measures
from tasks.metrics.cider import cider_d
from tasks.metrics.diversity import diversity, vendi, word_vectors
from tasks.metrics.java import PROGRAMS, java_measures, program
from tasks.metrics.rouge import common_length, rouge_l
from tasks.metrics.tokens import Words


def split(text: str) -> Words:
    return tuple(text.split())


VOCABULARY = split("a red blue cat dog on the mat sky tree 's n't -lrb- big small")


def drawn(seed: int, images: int, most_references: int) -> tuple[list[Words], list[list[Words]]]:
    """Captions that share words with their references, of every length from none to eleven."""
    random_words = random.Random(seed)

    def one(shortest: int) -> Words:
        length = random_words.randint(shortest, 11)
        return tuple(random_words.choices(VOCABULARY, k=length))

    references = [
        [one(1) for _ in range(random_words.randint(1, most_references))] for _ in range(images)
    ]
    captions = [
        random_words.choice([one(0), own[0][: random_words.randint(0, 9)], own[-1]])
        for own in references
    ]
    return captions, references


def as_reference_wants(
    captions: list[Words], references: list[list[Words]]
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    gts = {i: [" ".join(text) for text in own] for i, own in enumerate(references)}
    return gts, {i: [" ".join(text)] for i, text in enumerate(captions)}


@pytest.mark.parametrize(("seed", "images", "most"), [(0, 43, 5), (1, 7, 1), (2, 2, 3), (3, 1, 2)])
def test_every_score_is_the_reference_implementations(seed: int, images: int, most: int) -> None:
    captions, references = drawn(seed, images, most)
    gts, res = as_reference_wants(captions, references)
    wanted_bleu, wanted_each = Bleu(4).compute_score(gts, res, verbose=0)
    counts = bleu_counts(captions, references)
    assert corpus_bleu(captions, references) == pytest.approx(wanted_bleu, abs=1e-6)
    np.testing.assert_allclose(bleu(counts).T, wanted_each, atol=1e-6)
    mean, each = Rouge().compute_score(gts, res)
    assert rouge_l(captions, references) == pytest.approx(each, abs=1e-6)
    assert rouge_l(captions, references).mean() == pytest.approx(mean, abs=1e-6)
    mean, each = Cider().compute_score(gts, res)
    assert cider_d(captions, references) == pytest.approx(each, abs=1e-6)
    assert cider_d(captions, references).mean() == pytest.approx(mean, abs=1e-6)


def test_bleu_of_one_caption_by_hand() -> None:
    scores = corpus_bleu([split("a red cat")], [[split("a red dog runs")]])
    brevity = math.exp(1 - 4 / 3)
    assert scores[0] == pytest.approx(brevity * 2 / 3, abs=1e-6)
    assert scores[1] == pytest.approx(brevity * math.sqrt(2 / 3 * 1 / 2), abs=1e-6)
    assert scores[3] == pytest.approx(0, abs=1e-3)


def test_bleu_counts_a_word_no_more_often_than_one_reference_has_it() -> None:
    # Papineni et al. 2002, section 2.1: seven times "the" has a precision of 2 in 7.
    caption = split("the the the the the the the")
    references = [split("the cat is on the mat"), split("there is a cat on the mat")]
    assert corpus_bleu([caption], [references])[0] == pytest.approx(2 / 7, abs=1e-6)


def test_bleu_takes_the_shorter_of_two_equally_close_references() -> None:
    references = [split("a b c d e"), split("a b c")]
    assert bleu_counts([split("a b c d")], [references])[0, 1] == 3


def test_bleu_of_a_corpus_is_no_mean_of_its_images() -> None:
    captions = [split("a red cat"), split("dog")]
    references = [[split("a red cat")], [split("tree tree tree")]]
    by_hand = 3 / 4 * math.exp(1 - 6 / 4)  # 3 of 4 words; 4 words against 6
    assert corpus_bleu(captions, references)[0] == pytest.approx(by_hand, abs=1e-6)


def test_rouge_of_one_caption_by_hand() -> None:
    score = rouge_l([split("a cat on red")], [[split("a small cat in red")]])
    precision, recall, weight = 3 / 4, 3 / 5, 1.2**2
    by_hand = (1 + weight) * precision * recall / (recall + weight * precision)
    assert score == pytest.approx([by_hand])
    assert by_hand == pytest.approx(0.6536, abs=5e-5)


def test_the_common_subsequence_is_the_one_that_trying_all_finds() -> None:
    captions, references = drawn(5, 31, 2)

    def slow(one: Words, other: Words) -> int:
        if not one or not other:
            return 0
        if one[0] == other[0]:
            return 1 + slow(one[1:], other[1:])
        return max(slow(one[1:], other), slow(one, other[1:]))

    for one, own in zip(captions, references, strict=True):
        assert common_length(one[:7], own[0][:7]) == slow(one[:7], own[0][:7])


def test_cider_of_two_images_by_hand() -> None:
    # "a" is in both images' references and weighs log(2/2) = 0; every other run weighs log 2.
    captions = [split("a cat"), split("a tree")]
    references = [[split("a cat")], [split("a dog")]]
    # Image 0: runs of one and of two agree fully, there are none of three and four: 10 * 2 / 4.
    # Image 1: no run that weighs anything is shared.
    assert cider_d(captions, references) == pytest.approx([5.0, 0.0])


def test_cider_punishes_another_length() -> None:
    captions = [split("cat"), split("tree")]
    references = [[split("cat sat on mats")], [split("dog")]]
    # One of four words of equal weight: cosine 1 / (1 * 2); three runs of two more: exp(-9 / 72).
    by_hand = 10 / 4 * 0.5 * math.exp(-9 / 72)
    assert cider_d(captions, references) == pytest.approx([by_hand, 0.0])


def test_cider_of_one_image_alone_is_zero_because_no_word_tells_it_apart() -> None:
    assert cider_d([split("a cat")], [[split("a cat")]]) == pytest.approx([0.0])


@pytest.mark.parametrize("score", [bleu_counts, rouge_l, cider_d])
def test_what_has_no_score_is_refused(score: object) -> None:
    assert callable(score)
    with pytest.raises(ValueError, match="2 captions and references of 1"):
        score([split("a"), split("b")], [[split("a")]])
    with pytest.raises(ValueError, match="1 of 2 images have no reference"):
        score([split("a"), split("b")], [[split("a")], []])


def test_diversity_by_hand() -> None:
    found = diversity([split("a red cat"), split("a red dog"), split("a red cat"), ()])
    assert found.vocabulary == 4
    assert found.distinct_1 == pytest.approx(4 / 9)
    assert found.distinct_2 == pytest.approx(3 / 6)  # "a red", "red cat", "red dog"
    assert found.unique_captions == pytest.approx(3 / 4)
    assert found.mean_words == pytest.approx(9 / 4)
    with pytest.raises(ValueError, match="no captions"):
        diversity([])


def test_the_vendi_score_is_an_effective_number() -> None:
    # Two pairs of equal captions without a common word: as varied as two.
    captions = [split("a cat"), split("a cat"), split("one dog"), split("one dog")]
    assert vendi(word_vectors(captions)) == pytest.approx(2.0)
    assert vendi(word_vectors(captions[:2])) == pytest.approx(1.0)
    # Cosine 1/2: eigenvalues of K / 2 are 3/4 and 1/4.
    by_hand = math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert vendi(word_vectors([split("a cat"), split("a dog")])) == pytest.approx(by_hand)
    assert diversity(captions).vendi == pytest.approx(2.0)


def test_the_vendi_score_is_that_of_the_whole_matrix_of_cosines() -> None:
    captions, _ = drawn(7, 31, 1)
    vectors = word_vectors([own for own in captions if own])
    shares = np.linalg.eigvalsh(vectors @ vectors.T / len(vectors))
    shares = shares[shares > 1e-12]
    slow = math.exp(-float((shares * np.log(shares)).sum()))
    assert vectors.shape[0] > vectors.shape[1]
    assert vendi(vectors) == pytest.approx(slow)
    assert vendi(vectors[:5]) == pytest.approx(
        math.exp(
            -sum(
                s * math.log(s)
                for s in np.linalg.eigvalsh(vectors[:5] @ vectors[:5].T / 5)
                if s > 1e-12
            )
        )
    )


def test_cider_of_a_domain_is_that_of_its_images_alone() -> None:
    captions, references = drawn(11, 13, 3)
    domains = ["in-domain" if at % 3 else "out-domain" for at in range(13)]
    measures = caption_measures(captions, references, domains)
    for domain in ("in-domain", "out-domain"):
        places = [at for at in range(13) if domains[at] == domain]
        own = cider_d([captions[at] for at in places], [references[at] for at in places])
        measure = measures[f"cider_d_{domain.replace('-', '_')}"]
        assert measure.score(measure.rows.sum(axis=0)) == pytest.approx(own.mean())
        assert len(measure.rows) == 13
    assert "cider_d_" not in caption_measures(captions, references, [""] * 13)


def test_a_program_that_cannot_run_is_missed_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setenv("PATH", "")
        for name in PROGRAMS:
            with pytest.raises(InputError, match=f"{name} needs Java, and there is no `java`"):
                program(name)
    assert java_measures((), [], []) == {}


if shutil.which("java"):  # its counts are a Java program's; nothing else computes them

    @pytest.mark.slow
    def test_meteor_is_the_reference_programs_of_the_corpus_and_of_each_image() -> None:
        captions, references = drawn(0, 43, 5)
        gts, res = as_reference_wants(captions, references)
        scorer = Meteor()
        whole, each = scorer.compute_score(gts, res)
        scorer.meteor_p.stdout.close()  # it leaves them open
        scorer.meteor_p.stderr.close()
        measure = java_measures(("meteor",), captions, references)["meteor"]
        assert measure.score(measure.rows.sum(axis=0)) == pytest.approx(whole, abs=1e-6)
        assert measure.score(measure.rows) == pytest.approx(each, abs=1e-6)
        assert measure_of(measure.rows).score(measure.rows) == pytest.approx(each, abs=1e-6)

    def test_spice_says_what_it_lacks_and_fetches_nothing() -> None:
        with pytest.raises(InputError, match=r"spice needs stanford-corenlp-3\.6\.0\.jar"):
            program("spice")
