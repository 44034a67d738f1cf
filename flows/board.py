"""How far a run is, on its page: a bar and a table that are brought up to date while it runs.

The engine says how far it is after every batch; a thread of its own tells the server every few
seconds, so neither a slow server nor one that is gone holds up the work.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import httpx
from prefect import get_client, runtime
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.exceptions import PrefectHTTPStatusError

log = logging.getLogger(__name__)

EVERY_S = 3.0
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far something is: a share from 0 to 1, a line about it, and rows of a table."""

    share: float
    line: str
    rows: Sequence[Row]


@dataclass(slots=True)
class Board:
    """Two artifacts of one flow run, `<key>-progress` and `<key>-table`."""

    key: str
    run: UUID | None
    newest: Standing | None = None
    shown: Standing | None = None
    made: dict[str, UUID] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def show(self, standing: Standing) -> None:
        """Have this shown next; what has not been shown yet is forgotten."""
        self.newest = standing

    def keep_current(self) -> None:
        """Tell the server what is new until the board is over, and then once more."""
        with get_client(sync_client=True) as client:
            while not self.over.wait(EVERY_S):
                self._tell(client)
            self._tell(client)

    def _tell(self, client: SyncPrefectClient) -> None:
        standing = self.newest
        if standing is None or standing is self.shown:
            return
        try:
            about = standing.line
            self._put(client, "progress", round(100 * min(max(standing.share, 0), 1), 1), about)
            self._put(client, "table", json.dumps(list(standing.rows)), about)
        except (httpx.HTTPError, PrefectHTTPStatusError) as error:
            log.warning("the server could not be told how far this run is: %s", error)
            return
        self.shown = standing

    def _put(self, client: SyncPrefectClient, kind: str, content: float | str, about: str) -> None:
        if kind in self.made:
            change = ArtifactUpdate(data=content, description=about)
            client.update_artifact(self.made[kind], change)
            return
        wanted = ArtifactCreate(
            key=f"{self.key}-{kind}",
            type=kind,
            data=content,
            description=about,
            flow_run_id=self.run,
        )
        self.made[kind] = client.create_artifact(wanted).id


@contextlib.contextmanager
def board(key: str) -> Iterator[Board]:
    """Put up a board on the page of the flow run this is called in; its last word stays there.

    Args:
        key: lower case letters, digits and dashes.
    """
    run = runtime.flow_run.id
    made = Board(key, UUID(str(run)) if run else None)
    teller = threading.Thread(target=made.keep_current, name=f"board-{key}", daemon=True)
    teller.start()
    try:
        yield made
    finally:
        made.over.set()
        teller.join()
