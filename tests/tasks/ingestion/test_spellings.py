"""img2dataset's options work under their names, and those without a like are refused by name.

docs/from-img2dataset.md is held to this: it lists every option of img2dataset 1.47.
"""

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from tasks.errors import InputError
from tasks.ingestion.settings import Ingestion, Source
from tasks.ingestion.spellings import in_our_words, listed
from tasks.storage import open_lake
from tests.drawn import encoded
from tests.ingested import samples
from tests.web import Answer, web

PAGE = Path(__file__).resolve().parents[3] / "docs" / "from-img2dataset.md"
# The arguments of img2dataset.download, version 1.47.
LISTED = """
url_list image_size output_folder processes_count resize_mode resize_only_if_bigger
upscale_interpolation downscale_interpolation encode_quality encode_format skip_reencode
output_format input_format url_col caption_col bbox_col thread_count number_sample_per_shard
extract_exif save_additional_columns timeout enable_wandb wandb_project oom_shard_count compute_hash
verify_hash distributor subjob_size retries disable_all_reencoding min_image_size max_image_area
max_aspect_ratio incremental_mode max_shard_retry user_agent_token disallowed_header_directives
ignore_ssl_certificate
"""
OPTIONS = LISTED.split()
OURS = {one.name for kind in (Ingestion, Source) for one in fields(kind)}
OURS |= {"processes", "thread_count", "url_list", "output_folder"}


def told() -> dict[str, str]:
    """Return what the page says each option is here."""
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE.read_text(), re.MULTILINE))


def test_the_page_lists_every_option_and_names_only_what_is() -> None:
    assert sorted(told()) == sorted(OPTIONS)
    for name, here in told().items():
        if here.startswith("the same"):
            assert name in OURS or name in ("verify_hash",)
        elif here != "refused" and "only" not in here:
            assert re.findall(r"`(\w+)`", here)[0] in OURS


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_is_taken_or_refused_as_the_page_says(name: str) -> None:
    here = told()[name]
    if here == "refused":
        with pytest.raises(InputError, match=f"{name} has no like here"):
            in_our_words([f"--{name}=x"])
    elif here.endswith("only"):
        (only,) = re.findall(r"`(\w+)`", here)
        assert in_our_words([f"--{name}={only}"]) == []
        with pytest.raises(InputError, match=f"{name} is {only} here, not True: "):
            in_our_words([f"--{name}", "True"])
    else:
        assert in_our_words([f"--{name}=x"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.csv lake --image-size 64", "a.csv lake --image-size 64"),
        ("--url_list a.csv --output_folder=lake --retries=3", "--retries=3 a.csv lake"),
        ("--output_folder lake --url_list a.csv", "a.csv lake"),
        ("--resize_only_if_bigger=False a b", "--no-resize-only-if-bigger a b"),
        ("--resize_only_if_bigger True a b", "--resize-only-if-bigger a b"),
        ("--skip-reencode a b", "--skip-reencode a b"),
        ("--no-skip_reencode a b", "--no-skip-reencode a b"),
        ("--number_sample_per_shard 7 --timeout=9", "--shard-size=7 --timeout-s=9"),
        ("--user_agent_token=Boat --processes_count 3", "--user-agent=Boat --processes=3"),
        ("--verify_hash=[h,md5]", "--hash-col=h --verify-hash=drop"),
        ("--verify_hash flag --hash_col h", "--verify-hash=flag --hash-col h"),
        ("--enable_wandb False --distributor multiprocessing", ""),
    ],
)
def test_words_become_ours(given: str, expected: str) -> None:
    assert in_our_words(given.split()) == expected.split()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("NSFW,similarity", ("NSFW", "similarity")),
        ('["NSFW", "similarity"]', ("NSFW", "similarity")),
        ("['a']", ("a",)),
        ("[a,b]", ("a", "b")),
        ("[]", ()),
        ("", ()),
    ],
)
def test_a_list_may_stand_in_brackets(value: str, expected: tuple[str, ...]) -> None:
    assert listed(value) == expected


def test_a_hash_to_verify_is_a_column_and_a_kind() -> None:
    with pytest.raises(InputError, match=r"verify_hash is a column and md5, .* not \[h\]"):
        in_our_words(["--verify_hash", "[h]"])


def command(*words: str) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-m", "tasks.ingestion", *words]
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=60)


def test_a_command_line_of_img2dataset_runs_as_it_is(tmp_path: Path) -> None:
    body = encoded(seed=1, quality=95)
    digest = hashlib.md5(body).hexdigest()
    given = tmp_path / "addresses"
    lake = tmp_path / "lake"
    with web({"/a": Answer(body=body), "/b": Answer(body=encoded(seed=2))}) as site:
        given.write_text(
            f"LINK\tTEXT\tNSFW\tmd5\n{site.url}/a\ta boat\tUNLIKELY\t{digest}\n"
            f"{site.url}/b\ta ship\tUNSURE\t{'0' * 32}\n"
        )
        done = command(
            f"--url_list={given}",
            f"--output_folder={lake}",
            "--input_format=tsv",
            "--url_col=LINK",
            "--caption_col=TEXT",
            "--output_format=webdataset",
            '--save_additional_columns=["NSFW"]',
            '--verify_hash=["md5","md5"]',
            "--compute_hash=md5",
            "--image_size=41",
            "--resize_mode=center_crop",
            "--resize_only_if_bigger=False",
            "--extract_exif=False",
            "--processes_count=1",
            "--thread_count=8",
            "--number_sample_per_shard=1",
            "--oom_shard_count=3",
            "--timeout=5",
            "--retries=0",
            "--enable_wandb=False",
            "--allow_private_hosts=[127.0.0.1]",
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert said["outcomes"] == {"kept": 1, "hash_mismatch": 1}
    names = {path.name for path in (lake / "web" / "web").iterdir()}
    assert names >= {"000.tar", "000.parquet", "000_stats.json", "001.tar"}
    ((facts, _),) = samples(open_lake(str(lake)))
    assert (facts["caption"], facts["NSFW"], facts["md5"]) == ("a boat", "UNLIKELY", digest)
    assert (facts["width"], facts["height"], facts["exif"]) == (41, 41, None)


def test_what_img2dataset_would_do_and_we_do_not_is_one_line(tmp_path: Path) -> None:
    done = command("a.csv", str(tmp_path / "lake"), "--distributor=pyspark")
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert "distributor is multiprocessing here, not pyspark: " in line


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"compute_hash": "None"}, "compute_hash is one of sha256, md5, sha512, not 'None'"),
        ({"oom_shard_count": 0}, "oom_shard_count is above 0, not 0"),
    ],
)
def test_a_setting_out_of_range_is_one_line(given: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Ingestion(**given)  # type: ignore[arg-type]


def test_a_format_that_no_table_has_is_one_line() -> None:
    with pytest.raises(InputError, match=r"input_format is one of parquet, .* not 'xml'"):
        Source(batch="web", tables=("t",), input_format="xml")
