"""One running server, with its workers, for all files of this folder that need it."""

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient

from tests.stand import Stand, standing


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home, lake = tmp_path_factory.mktemp("prefect"), tmp_path_factory.mktemp("lake")
    with standing(home, lake) as running:
        yield running


@pytest.fixture
def client(stand: Stand) -> Iterator[SyncPrefectClient]:
    with stand.client() as opened:
        yield opened
