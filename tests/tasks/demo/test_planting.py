"""What is planted is decided before anything is written, exact in number and truly wrong."""

from collections import Counter

import pytest

from tasks.demo.facts import Noise
from tasks.demo.planting import BOILERPLATE, Item, Site, plant
from tasks.errors import InputError

SMALL = Site(pictures=1000, seed_pictures=7, evaluation_pictures=11)


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return plant(SMALL)


def of(items: list[Item], noise: Noise) -> list[Item]:
    return [item for item in items if item.noise is noise]


def test_each_noise_has_the_share_asked_for(items: list[Item]) -> None:
    counted = Counter(item.noise for item in items)
    assert counted == {
        Noise.SWAPPED: 300,
        Noise.BOILERPLATE: 50,
        Noise.FILENAME: 40,
        Noise.FOREIGN: 40,
        Noise.DEAD: 30,
        Noise.BROKEN: 20,
        Noise.DUPLICATE: 20,
        Noise.NEAR_DUPLICATE: 20,
        Noise.ROBOTS: 10,
        Noise.NONE: 470,
    }


def test_a_swapped_text_names_other_things_and_is_the_right_text_of_another(
    items: list[Item],
) -> None:
    rights = {item.right_text: item.scene.kinds for item in items}
    for item in of(items, Noise.SWAPPED):
        assert item.text != item.right_text
        assert rights[item.text] != item.scene.kinds


def test_sound_texts_are_the_scene_s_own_caption(items: list[Item]) -> None:
    for noise in (Noise.NONE, Noise.DEAD, Noise.BROKEN, Noise.ROBOTS):
        assert all(i.text == i.right_text == i.scene.caption for i in of(items, noise))


def test_other_noise_is_what_it_says(items: list[Item]) -> None:
    assert all(item.text in BOILERPLATE for item in of(items, Noise.BOILERPLATE))
    assert all("." in item.text for item in of(items, Noise.FILENAME))
    for item in of(items, Noise.FOREIGN):
        assert item.text in {item.scene.translated(language) for language in range(3)}
        assert item.right_text == item.scene.caption


def test_a_duplicate_shows_a_sound_picture_under_another_url_and_sentence(
    items: list[Item],
) -> None:
    by_path = {item.path: item for item in items}
    for item in of(items, Noise.DUPLICATE) + of(items, Noise.NEAR_DUPLICATE):
        original = by_path[item.original]
        assert original.noise is Noise.NONE
        assert original.scene == item.scene
        assert original.path != item.path
        assert original.text != item.text


def test_is_noise_is_what_a_model_should_not_learn(items: list[Item]) -> None:
    noisy = {item.noise for item in items if item.planted.is_noise}
    assert noisy == {
        Noise.SWAPPED,
        Noise.BOILERPLATE,
        Noise.FILENAME,
        Noise.FOREIGN,
        Noise.DEAD,
        Noise.BROKEN,
    }


def test_every_picture_has_a_url_of_its_own(items: list[Item]) -> None:
    assert len({item.path for item in items}) == len(items)


def test_the_same_settings_plant_the_same_and_another_seed_does_not(items: list[Item]) -> None:
    assert plant(SMALL) == items
    assert plant(Site(pictures=1000, seed=1)) != items


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"swapped": 1.5}, "swapped is a share from 0 to 1, not 1.5"),
        ({"swapped": 0.8, "dead": 0.2}, "leave a tenth sound"),
        ({"pictures": 0}, "pictures is 1 or more, not 0"),
        ({"port": 80}, "port is 80; the site needs one from 1024 to 65535"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Site(**settings)  # type: ignore[arg-type]


def test_swapping_needs_pictures_of_different_things() -> None:
    with pytest.raises(InputError, match="too few pictures to swap"):
        plant(Site(pictures=1, swapped=0.8, duplicates=0.0, robots=0, foreign=0, filenames=0,
                   boilerplate=0))  # fmt: skip
