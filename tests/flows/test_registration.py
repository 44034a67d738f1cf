"""One command gives the alias champion back, and another tells who had it."""

from pathlib import Path

import pytest

from flows.environment import this_machine
from flows.registration import main
from tasks.errors import ModelError
from tasks.registry import lineage
from tasks.storage import Lake, open_lake
from tests.champions import crown

NAME = "caplift-captioner"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    lake = open_lake(str(tmp_path / "lake"), create=True)
    crown(lake, seed=0)
    crown(lake, seed=1)
    return lake


def test_a_rollback_is_one_command_and_history_tells_of_it(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    def champion() -> str:
        found = lineage(this_machine({}).mlflow_uri(lake), f"models:/{NAME}@champion")
        return str(found["version"])

    assert champion() == "2"
    lake.publish_json(
        f"registrations/{NAME}/2.json", {"name": NAME, "version": "2", "alias": "champion"}
    )
    main(["rollback", NAME, "--lake", lake.root])
    assert capsys.readouterr().out == (
        f"{NAME} version 1 is champion: rolled back from version 2\n"
    )
    assert champion() == "1"
    assert lake.read_json(f"registrations/{NAME}/2.json")["alias"] == ""
    main(["history", NAME, "--lake", lake.root])
    told = [line.split("  ", 2)[1:] for line in capsys.readouterr().out.splitlines()]
    assert [version for version, _ in told] == ["version 1", "version 2", "version 1"]
    assert told[1][1] == "score 1 [1, 1]; not worse than version 1 beyond the interval"
    with pytest.raises(ModelError, match="no champion before the present one"):
        main(["rollback", NAME, "--lake", lake.root])
    main(["rollback", NAME, "--to", "2", "--lake", lake.root])
    assert champion() == "2"
