"""A report shows what a lake holds, in one file, and trusts nothing that a stranger wrote."""

from pathlib import Path

import pytest

from tasks.catalogue.building import build_catalogue
from tasks.errors import InputError, LakeError
from tasks.report.report import write_report
from tests import lakes
from tests.lakes import Painted, Text


def test_a_lake_in_which_nothing_has_run_yet_says_so_for_every_figure(tmp_path: Path) -> None:
    lake = lakes.new_lake(tmp_path)
    build_catalogue(lake)
    page = lake.read_bytes(write_report(lake)).decode()
    assert page.count('class="missing"') > 30
    assert "no filter has scored the captions" in page
    assert "<svg" not in page
    assert "<img" not in page


def test_without_a_catalogue_one_line_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="run the quality stage"):
        write_report(lakes.new_lake(tmp_path))
    assert not list(tmp_path.rglob("reports"))


def test_a_selection_that_there_is_not_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    lake = lakes.new_lake(tmp_path)
    lakes.write_batch(lake, "web", [Painted(name="a", texts=[Text(text="two red boats")])])
    build_catalogue(lake)
    with pytest.raises(InputError, match="no selection 'lost'"):
        write_report(lake, selection="lost")
    assert not lake.exists("reports")
