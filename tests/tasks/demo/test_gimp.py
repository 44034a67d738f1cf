"""The second web is made of three Debian packages, here small ones of the same layout."""

import random
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tasks.demo import debian
from tasks.demo.debian import fetched, unpacked
from tasks.demo.facts import SiteFacts, read_lines
from tasks.demo.gimp import PACKAGES, GimpSite, build_gimp_site
from tasks.errors import InputError
from tests.qt_resources import resource_file

STAMPS = 61
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {0}"><circle r="{0}"/></svg>'
BOARD = """tab: [
  {"title": qsTr("No picture"), "text": qsTr("x"), "image2": "qrc:/board/none.webp"},
  {"image": "qrc:/board/key.svg", "title": qsTr("Taj Mahal"), "text": qsTr("A \\"tomb\\""),
   "image2": "qrc:/board/tajMahal.webp"}]"""


def png(shade: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (70, 70), (shade % 256, 99, 7)).save(buffer, "PNG")
    return buffer.getvalue()


def packed(files: dict[str, bytes]) -> bytes:
    """A tar as Debian packs one: xz, each path behind "./"."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=0) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"./{path}")
            member.size = len(content)
            archive.addfile(member, BytesIO(content))
    return buffer.getvalue()


def package(cache: Path, name: str, files: dict[str, bytes]) -> None:
    """A package as deb(5) lays it out: an ar archive of a version and two tars."""
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": packed({"control": b"Package: x\n"})}
    deb = b"!<arch>\n"
    for part, content in {**parts, "data.tar.xz": packed(files)}.items():
        header = f"{part:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        deb += header.encode() + content + b"\n" * (len(content) % 2)
    (cache / f"{name}_1_all.deb").write_bytes(deb)


def packages(cache: Path) -> None:
    cache.mkdir()
    manual = "usr/share/gimp/2.0/help/en"
    page = b'<p><img src="images/blur.png" alt="The blur dialog"></p>'
    package(cache, PACKAGES[0], {f"{manual}/index.html": page, f"{manual}/images/blur.png": png(3)})
    stamps = {"usr/share/tuxpaint/stamps/symbols/a.png": png(1)}
    stamps["usr/share/tuxpaint/stamps/symbols/a.txt"] = b"The letter A."
    for index in range(STAMPS):
        stem = f"usr/share/tuxpaint/stamps/animals/birds/bird{index}"
        stamps[f"{stem}.png"] = png(index)
        # Two pictures of each caption, which must stay in one split.
        stamps[f"{stem}.txt"] = f"A bird of kind {index // 2}.\nde.utf8=Ein Vogel.\n".encode()
    for index, svg in enumerate((SVG.format(30), "no drawing")):
        stem = f"usr/share/tuxpaint/stamps/space/moon{index}"
        stamps |= {f"{stem}.svg": svg.encode(), f"{stem}.txt": b"A moon.  Round!"}
    package(cache, PACKAGES[1], stamps)
    tools = {"tools/measuringTape4.webp": b"tape", "tools/README": b"x", "numbers/1.webp": b"one"}
    monuments = {"board/b.qml": BOARD.encode(), "board/tajMahal.webp": b"taj"}
    names = {"categorization": tools, "explore_monuments": monuments, "erase": {"a/b.webp": b"c"}}
    rcc = {f"usr/share/gcompris-qt/rcc/{n}.rcc": resource_file(2, f) for n, f in names.items()}
    package(cache, PACKAGES[2], rcc)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> SiteFacts:
    folder = tmp_path_factory.mktemp("demo")
    packages(folder / "packages")
    return build_gimp_site(folder / "site", GimpSite())


def test_the_manual_is_served_as_it_is_and_carries_no_truth(facts: SiteFacts) -> None:
    assert (facts.served / "gimp/index.html").read_bytes().startswith(b"<p><img")
    assert (facts.served / "gimp/images/blur.png").read_bytes() == png(3)
    assert not any("/gimp/" in row["url"] for row in read_lines(facts.truth_path))


def test_the_pages_lead_to_the_manual(facts: SiteFacts) -> None:
    assert 'href="/gimp/index.html"' in (facts.served / "index.html").read_text()


def test_letters_are_left_out(facts: SiteFacts) -> None:
    assert not (facts.served / "stamps/symbols").exists()


def test_each_stamp_is_in_one_split_and_so_is_each_caption(facts: SiteFacts) -> None:
    tables = [read_lines(facts.seed_table), read_lines(facts.evaluation_table)]
    urls = [{row["url"].removeprefix(facts.base_url) for row in table} for table in tables]
    captions = [{row["caption"] for row in table} for table in tables]
    web = [row for row in read_lines(facts.truth_path) if row["url"].startswith("/stamps/")]
    urls.append({row["url"] for row in web})
    captions.append({row["right_text"] for row in web})
    assert all(urls)
    assert sum(len(part) for part in urls) == len(set().union(*urls)) == STAMPS + 1
    assert sum(len(part) for part in captions) == len(set().union(*captions))


def test_a_stamp_drawn_as_svg_is_rendered_and_its_caption_folded(facts: SiteFacts) -> None:
    with Image.open(facts.served / "stamps/space/moon0.png") as drawn:
        assert drawn.size == (256, 256)
    # The second moon cannot be drawn, so there is no picture of it.
    assert not (facts.served / "stamps/space/moon1.png").exists()
    labelled = read_lines(facts.seed_table) + read_lines(facts.evaluation_table)
    texts = [row.get("caption") or row["right_text"] for row in labelled + web_rows(facts)]
    assert "A moon. Round!" in texts


def test_photographs_are_captioned_by_their_file_or_their_board(facts: SiteFacts) -> None:
    rights = {row["url"]: row["right_text"] for row in web_rows(facts) if "/photos/" in row["url"]}
    assert rights == {
        "/photos/tools/measuringTape4.webp": "measuring tape",
        "/photos/explore_monuments/tajMahal.webp": "Taj Mahal",
    }
    assert (facts.served / "photos/explore_monuments/tajMahal.webp").read_bytes() == b"taj"


def web_rows(facts: SiteFacts) -> list[dict[str, Any]]:
    return [row for row in read_lines(facts.truth_path) if row["noise"] != "furniture"]


def test_labelled_stamps_are_on_no_page(facts: SiteFacts) -> None:
    text = "".join(page.read_text() for page in facts.served.rglob("*.html"))
    for table in (facts.seed_table, facts.evaluation_table):
        assert not [row for row in read_lines(table) if f'"{row["url"].split("/", 3)[3]}"' in text]


def test_a_quarter_of_the_texts_are_swapped_for_different_ones(facts: SiteFacts) -> None:
    web = web_rows(facts)
    swapped = [row for row in web if row["noise"] == "swapped"]
    assert len(swapped) == round(len(web) / 4) > 0
    assert all((row["text"] != row["right_text"]) == row["is_noise"] for row in web)
    pages = "".join(page.read_text() for page in facts.served.rglob("albums/**/*.html"))
    assert all(f'src="{row["url"]}" alt="{row["text"]}"' in pages for row in web)


def test_the_packages_are_named_and_a_second_build_does_nothing(facts: SiteFacts) -> None:
    assert facts.sources == tuple(f"{name}_1_all.deb" for name in PACKAGES)
    assert build_gimp_site(facts.folder, GimpSite()) == facts


def test_shares_that_leave_no_web_are_refused() -> None:
    with pytest.raises(InputError, match="leave no stamps for the pages"):
        GimpSite(seed_share=0.5, evaluation_share=0.5)


def test_a_machine_without_apt_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="this machine has no apt-get; run it on Debian"):
        fetched(PACKAGES, tmp_path / "cache")


def test_apt_s_refusal_is_passed_on_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "apt-get"
    program.write_text("#!/bin/sh\necho 'E: Unable to locate package x' >&2\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/bin:/usr/bin")
    with pytest.raises(InputError) as refusal:
        fetched(["x"], tmp_path / "cache")
    assert str(refusal.value) == (
        "apt-get could not fetch x (Unable to locate package x); run `apt-get update` (as root) "
        "and the same command again"
    )
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda _: b"not a package", "it is no ar archive"),
        (lambda _: b"", "it is no ar archive"),
        (lambda whole: whole[:8], "it has no data.tar"),
        (lambda whole: whole[: len(whole) * 3 // 4], "unexpected end of data"),
        (lambda whole: whole.replace(b"\xfd7zXZ", b"\xfd7zXY"), "invalid header"),
    ],
)
def test_a_damaged_package_is_named(
    tmp_path: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    package(tmp_path, "x", {"a.bin": random.Random(0).randbytes(20_000)})
    (deb,) = debian.fetched(["x"], tmp_path)
    deb.write_bytes(damage(deb.read_bytes()))
    with pytest.raises(InputError, match=rf"x_1_all\.deb cannot be unpacked \(.*{said}"):
        list(unpacked(deb, bool))


def test_of_a_package_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    files = {"usr/share/a.txt": b"one", "usr/share/b/c.bin": bytes(range(256)) * 9, "d": b""}
    package(tmp_path, "x", files)
    (deb,) = debian.fetched(["x"], tmp_path)
    assert dict(unpacked(deb, bool)) == files
    assert dict(unpacked(deb, lambda path: path.endswith(".txt"))) == {"usr/share/a.txt": b"one"}
