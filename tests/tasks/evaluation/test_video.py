"""A video is the mean of evenly spaced frames; texts find it and it finds texts."""

import json
from pathlib import Path

import pytest
import torch

from tasks.errors import InputError
from tasks.evaluation.video import Videos, pooled, read_clips, read_frames, retrieve_videos
from tests.judged import MODEL, judged_root, lake_of, write_video
from tests.small_lake import colour_of


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return judged_root(tmp_path_factory.mktemp("judged"))


def test_frames_are_spaced_evenly_over_a_video(tmp_path: Path) -> None:
    shades = [(20 * at, 20 * at, 20 * at) for at in range(11)]
    write_video(tmp_path / "a.avi", shades)
    found = read_frames(tmp_path / "a.avi", 3, 8)
    assert found.shape == (3, 8, 8, 3)
    # Middles of the thirds of 11 frames: 1.83, 5.5 and 9.17.
    assert found.mean(axis=(1, 2, 3)) == pytest.approx([20, 100, 180], abs=4)
    assert len(read_frames(tmp_path / "a.avi", 17, 8)) == 17
    (tmp_path / "b.avi").write_bytes(b"no video at all")
    with pytest.raises(InputError, match="cannot be decoded as a video"):
        read_frames(tmp_path / "b.avi", 3, 8)


def test_a_video_is_the_unit_mean_of_its_frames() -> None:
    frames = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert pooled(frames).tolist() == pytest.approx([0.5**0.5, 0.5**0.5])


def test_videos_are_found_by_texts_and_texts_by_videos(root: Path, tmp_path: Path) -> None:
    clips = [{"clip_name": f"video{at}", "caption": f"a {colour_of(at)} wall"} for at in range(3)]
    lines = tmp_path / "msrvtt_test.jsonl"
    lines.write_text("\n".join(json.dumps(one) for one in clips))
    how = Videos(annotations=str(lines), videos=str(root / "videos"), frames=2, bootstrap=31)
    report = retrieve_videos(lake_of(root), "video", MODEL, how)
    assert (report.images, report.texts) == (3, 3)
    assert report.scores["itc_ir_r5"].value == 1.0  # all are among the first five
    assert (report.leakage["training_pictures"], report.leakage["leaked"]) == (1, 0)
    assert report.baselines["chance"]["itm_ir_r1"].value == pytest.approx(1 / 3)
    plain = Videos(
        annotations=str(lines), videos=str(root / "videos"), frames=2, rerank_k=0, bootstrap=31
    )
    other = retrieve_videos(lake_of(root), "video-itc", MODEL, plain)
    assert {
        name: one for name, one in report.scores.items() if name.startswith("itc")
    } == other.scores
    lines.write_text('{"video": "video7", "caption": ["x", "y"]}')
    with pytest.raises(InputError, match="no video video7"):
        retrieve_videos(lake_of(root), "x", MODEL, how)
    assert read_clips(str(lines)) == {"video7": ["x", "y"]}
    lines.write_text('{"name": 1}')
    with pytest.raises(InputError, match="is no list of"):
        read_clips(str(lines))
