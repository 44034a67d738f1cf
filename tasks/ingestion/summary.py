"""What an ingestion came to: counts, rates, and the one cause that a person could mend."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tasks import rows
from tasks.ingestion.sources.planning import RUN
from tasks.ingestion.tally import Tally
from tasks.rows import Outcome
from tasks.storage import Lake

# A cause that as many of the candidates share is one that a person can most likely mend.
SYSTEMIC = 0.3
FEWEST = 20  # candidates; of fewer the share says nothing
HINTS = {
    Outcome.DNS: "your resolver is the bottleneck or out of reach: run a caching one on this "
    "machine, or lower --concurrency",
    Outcome.TIMEOUT: "the network is full or far: lower --concurrency or raise --timeout-s",
    Outcome.CONNECT: "is a firewall or a proxy in the way, or are all of one dead host?",
    Outcome.CONNECTION_RESET: "a firewall or the sites cut you off: lower --per-host-concurrency",
    Outcome.TLS: "does this machine lack certificates (Debian: apt install ca-certificates), or is "
    "its clock wrong?",
    Outcome.SSRF_BLOCKED: "the addresses are private; --allow-private-hosts opens those you trust",
    Outcome.ROBOTS_TXT: "the sites do not want to be crawled; ask them, or look for other sources",
    Outcome.OPTED_OUT: "the sites do not want their pictures used for training",
    Outcome.NOT_AN_IMAGE: "are these addresses of pages? give pages as HTML files or start pages",
    Outcome.BAD_URL: "is the right column of the table read?",
    Outcome.HASH_MISMATCH: "the pictures have changed since the hashes were made, or others have "
    "bought the domains",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A batch at the end of a run.

    Attributes:
        batch: its name.
        planned: candidates; every one has exactly one outcome.
        outcomes: candidates by outcome, the most frequent first.
        http_statuses: of the candidates with outcome http_error.
        bytes_stored: of pictures.
        duplicates: pictures that repeat another.
        seconds: of this run.
        done_now: candidates that got their outcome in this run.
        cpu_ms: CPU milliseconds for each of them, by stage.
    """

    batch: str
    planned: int
    outcomes: dict[str, int]
    http_statuses: dict[str, int]
    bytes_stored: int
    duplicates: int
    seconds: float
    done_now: int
    cpu_ms: dict[str, float] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Candidates whose picture is stored."""
        return self.outcomes.get(Outcome.KEPT, 0)

    @property
    def hint(self) -> str:
        """One line about a cause that many candidates share; empty when there is none."""
        for name, count in self.outcomes.items():
            share = count / max(1, self.planned)
            if name == Outcome.KEPT or count < FEWEST or share < SYSTEMIC:
                continue
            said = HINTS.get(Outcome(name)) or self._http_hint(name)
            if said:
                return f"{share:.0%} {name}: {said}"
        return ""

    def _http_hint(self, name: str) -> str:
        if name != Outcome.HTTP_ERROR or not self.http_statuses:
            return ""
        status, count = next(iter(self.http_statuses.items()))
        advice = {
            "429": "the sites ask for fewer requests: lower --per-host-rate",
            "403": "the sites refuse you: does --contact say how to reach you?",
            "404": "the table is old; pictures have moved or gone",
        }
        return f"{count} answers of status {status}; {advice.get(status, 'is the table old?')}"

    def to_json(self) -> dict[str, Any]:
        """Return what the command prints last."""
        return {
            "batch": self.batch,
            "planned": self.planned,
            "kept": self.kept,
            "success_rate": round(self.kept / max(1, self.planned), 4),
            "outcomes": self.outcomes,
            "http_statuses": self.http_statuses,
            "duplicates": self.duplicates,
            "bytes_stored": self.bytes_stored,
            "seconds": round(self.seconds, 2),
            "done_now": self.done_now,
            "images_per_s": round(self.done_now / max(1e-9, self.seconds), 1),
            "cpu_ms_per_url": self.cpu_ms,
            "hint": self.hint,
        }


def summarise(lake: Lake, batch: str, tally: Tally, seconds: float) -> Summary:
    """Read a finished batch's rows.

    Args:
        lake: where the batch is.
        batch: its name.
        tally: of this run, which may have found everything done.
        seconds: this run took.
    """
    outcomes: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    stored = 0
    for shard in lake.planned(batch):
        table = rows.read_rows(
            lake, lake.rows("web", "", shard), ["outcome", "http_status", "tar_size"]
        )
        for outcome, status, size in zip(*(c.to_pylist() for c in table.columns), strict=True):
            outcomes[outcome] += 1
            stored += size or 0
            if outcome == Outcome.HTTP_ERROR:
                statuses[str(status)] += 1
    twins = rows.read_all(lake, f"duplicates/{RUN}/{batch}/*.parquet", rows.DUPLICATES)
    per_url = {name: 1e3 * s / max(1, tally.done) for name, s in sorted(tally.cpu_s.items())}
    return Summary(
        batch=batch,
        planned=outcomes.total(),
        outcomes=dict(outcomes.most_common()),
        http_statuses=dict(statuses.most_common()),
        bytes_stored=stored,
        duplicates=twins.num_rows,
        seconds=seconds,
        done_now=tally.done,
        cpu_ms={name: round(ms, 3) for name, ms in per_url.items()} if tally.done else {},
    )
