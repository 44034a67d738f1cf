"""What a table draws a box around is never stored sharp; the rest of the picture stays as it is.

The slow method beside ours adds up a Gaussian weight for every pixel, as the authors of the blurred
ImageNet describe it; boxes are img2dataset's.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image

from tasks import rows
from tasks.errors import InputError
from tasks.ingestion.pictures.blurring import Box, blurred, boxes_of
from tasks.ingestion.pictures.images import stored_picture
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.sources.plans import read_plan
from tasks.ingestion.sources.retrying import retry_source
from tasks.ingestion.stage import plan
from tasks.ingestion.workers import ingest
from tasks.storage import Lake
from tests.crafted import saved
from tests.drawn import encoded
from tests.ingested import HOW, samples
from tests.web import Answer, web

# Noise of 61 x 43: what is blurred loses its contrast, and nothing else does.
NOISE = np.random.default_rng(7).integers(0, 256, (43, 61, 3), dtype=np.uint8)
BOX = (10 / 61, 12 / 43, 30 / 61, 24 / 43)  # of 20 x 12 pixels
EXACT = Ingestion(resize_mode="no", encode_format="png", encode_quality=1, decode_mode="area")


def smoothed(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return values under a Gaussian along both axes, mirrored without their edge."""
    reach = int(6 * sigma) + 1
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    for axis in (0, 1):
        pads = [(reach, reach) if axis == a else (0, 0) for a in range(values.ndim)]
        padded = np.moveaxis(np.pad(values, pads, mode="reflect"), axis, 0)
        length = values.shape[axis]
        summed = sum(w * padded[n : n + length] for n, w in enumerate(weights / weights.sum()))
        values = np.moveaxis(np.asarray(summed), 0, axis)
    return values


def test_a_box_is_blurred_as_faces_in_imagenet_are() -> None:
    # The longer side is 20: 2 pixels are added around, and sigma is 2.
    mask = np.zeros((43, 61, 1))
    mask[12 - 2 : 24 + 2, 10 - 2 : 30 + 2] = 1
    share = smoothed(mask, 2.0)
    expected = NOISE * (1 - share) + smoothed(NOISE.astype(float), 2.0) * share
    found = blurred(NOISE, [BOX])
    assert np.abs(found - expected).max() < 1
    inside = np.s_[12:24, 10:30]
    assert found[inside].std() < NOISE[inside].std() / 3
    far = np.s_[:, 50:]
    assert (found[far] == NOISE[far]).all()


def test_several_boxes_are_blurred_as_far_as_the_largest_wants() -> None:
    small = (45 / 61, 30 / 43, 48 / 61, 33 / 43)
    inside = np.s_[30:33, 45:48]
    assert blurred(NOISE, [small])[inside].std() > blurred(NOISE, [small, BOX])[inside].std() * 2


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (-0.4, -0.3, 1.2, 1.4)])
def test_a_box_of_the_whole_picture_reaches_its_last_row_and_column(box: Box) -> None:
    found = blurred(NOISE, [box])
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert found[edge].std() < NOISE[edge].std() / 3


@pytest.mark.parametrize("box", [(0.5, 0.5, 0.5, 0.5), (1.1, 0, 1.2, 1), (-0.4, -0.4, -0.3, -0.3)])
def test_a_box_of_nothing_leaves_nearly_all_as_it_is(box: Box) -> None:
    found = blurred(NOISE, [box])
    assert (found != NOISE).any(axis=2).sum() <= 49
    assert (blurred(NOISE, []) == NOISE).all()


def kept(content: bytes, how: Ingestion, *boxes: Box) -> NDArray[np.uint8]:
    found = stored_picture(content, how, boxes)
    with Image.open(io.BytesIO(found.content)) as image:
        return np.asarray(image.convert("RGB"))


def test_a_box_lies_where_it_did_before_exif_turned_the_picture() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise: the left edge comes up
    turned = kept(saved(NOISE, "PNG", exif=exif), EXACT, BOX)
    assert (np.rot90(turned) == kept(saved(NOISE, "PNG"), EXACT, BOX)).all()


@pytest.mark.parametrize("given", [{"skip_reencode": True}, {"disable_all_reencoding": True}])
def test_bytes_are_never_passed_through_under_a_box(given: dict[str, Any]) -> None:
    content = encoded(quality=95)
    how = Ingestion(resize_mode="no", **given)
    assert stored_picture(content, how).content == content
    assert stored_picture(content, how, [BOX]).content != content


@pytest.mark.parametrize("mode", ["keep_ratio", "center_crop", "border", "fixed"])
def test_a_box_scales_with_the_picture_and_is_cropped_and_framed_with_it(mode: str) -> None:
    large = np.random.default_rng(3).integers(0, 256, (430, 610, 3), dtype=np.uint8)
    large[100:300, 200:400] = 255 * (np.indices((200, 200)).sum(axis=0) // 20 % 2)[..., None]
    how = Ingestion(image_size=101, resize_mode=mode, encode_format="png", encode_quality=1)
    sharp = kept(saved(large, "PNG"), how)
    soft = kept(saved(large, "PNG"), how, (200 / 610, 100 / 430, 400 / 610, 300 / 430))
    height, width = sharp.shape[:2]
    middle = np.s_[height * 2 // 5 : height * 3 // 5, width * 2 // 5 : width * 3 // 5]
    assert soft[middle].std() < sharp[middle].std() / 2
    assert (soft[:3, :3] == sharp[:3, :3]).all()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ("", ()),
        ("[]", ()),
        ([], ()),
        ([0, 0.25, 0.5, 1], ((0.0, 0.25, 0.5, 1.0),)),
        ([[0, 0.25, 0.5, 1], (0.5, 0, 1, 1)], ((0.0, 0.25, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0))),
        ("[[0, 0.25, 0.5, 1]]", ((0.0, 0.25, 0.5, 1.0),)),
    ],
)
def test_boxes_are_lists_or_json(value: Any, expected: tuple[Box, ...]) -> None:
    assert boxes_of(value) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0.1 0.2", "is no JSON list of boxes"),
        ("7", "is no list of boxes"),
        ([[0.1, 0.2, 0.3]], "is no box of four numbers"),
        ([["a", 0, 1, 1]], "is no box of four numbers"),
        ([[10, 20, 110, 120]], "is not in parts of the picture"),
        ([[0, 0, float("nan"), 1]], "is not in parts of the picture"),
        ([[0.5, 0, 0.2, 1]], "ends before it begins"),
    ],
)
def test_what_is_no_box_is_one_line_that_names_the_row(
    lake: Lake, tmp_path: Path, value: Any, said: str
) -> None:
    listed = [{"url": "http://a.org/1", "faces": None}, {"url": "http://a.org/2", "faces": value}]
    given = tmp_path / "t.jsonl"
    given.write_text("\n".join(map(json.dumps, listed)))
    source = Source(batch="web", tables=(str(given),), bbox_col="faces")
    with pytest.raises(InputError, match=rf"row 2 of .*t\.jsonl has in 'faces' .*{said}") as caught:
        plan(lake, source, HOW)
    assert "\n" not in str(caught.value)


def test_blurring_and_keeping_all_bytes_exclude_each_other(lake: Lake) -> None:
    source = Source(batch="web", tables=("t.csv",), bbox_col="faces")
    with pytest.raises(InputError, match=r"bbox_col blurs .* and disable_all_reencoding keeps"):
        plan(lake, source, Ingestion(disable_all_reencoding=True))


def test_the_boxes_of_a_table_are_blurred_in_its_shards_and_in_a_retry(
    lake: Lake, tmp_path: Path
) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (97, 101, 3), dtype=np.uint8)
    content = saved(noise, "PNG")
    answers = {"/a.png": Answer(body=content), "/b.png": Answer(body=content)}
    given = tmp_path / "t.parquet"
    how = Ingestion(allow_private_hosts=("127.0.0.1",), retries=0, encode_format="png",
                    encode_quality=1)  # fmt: skip
    left, right = [[0.0, 0.0, 0.5, 1.0]], [[0.5, 0.0, 1.0, 1.0]]
    with web(answers | {"/b.png": Answer(status=503)}) as site:
        urls = [f"{site.url}/a.png", f"{site.url}/a.png", f"{site.url}/b.png"]
        pq.write_table(pa.table({"url": urls, "faces": [left, right, left]}), given)
        source = Source(batch="web", tables=(str(given),), bbox_col="faces")
        ingest(lake, plan(lake, source, how), how)
        site.answers["/b.png"] = answers["/b.png"]
        again = retry_source(lake, "web")
        ingest(lake, plan(lake, again, how), how)
    (one, _) = sorted((e for s in lake.planned("web") for e in read_plan(lake, s)),
                      key=lambda entry: entry.url)  # fmt: skip
    assert one.boxes == [tuple(left[0]), tuple(right[0])]  # those of both rows
    contrast = {}
    for told, picture in samples(lake):
        shown = np.asarray(Image.open(io.BytesIO(picture)), dtype=float)
        contrast[told["url"][-5]] = (shown[:, :40].std(), shown[:, 61:].std())
        assert told["faces"] == left
    assert max(contrast["a"]) < 20
    assert contrast["b"][0] < 20
    assert contrast["b"][1] > 60
    found = rows.read_rows(lake, "web/web/00000.parquet")
    assert found.schema.field("faces").type == pa.list_(pa.list_(pa.float64()))
