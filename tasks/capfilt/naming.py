"""Runs named after what decides their content, so that every way of starting a job goes on with it.

The names hold the sha256 of the models' weights, not their addresses: an alias that has moved is
another run, and the same weights under another address are the same.
"""

from tasks import rows
from tasks.capfilt.settings import CapFilt, Job
from tasks.checkpoints import resolved
from tasks.storage import Lake


def named_job(lake: Lake, how: CapFilt, captioner: str, judge: str) -> Job:
    """Return the job of writing captions and judging them beside the ingested texts.

    Args:
        lake: where addresses are looked up.
        how: settings.
        captioner: address of the model that writes.
        judge: address of the filter.

    Raises:
        ModelError: there is no such model.
    """
    writer, weigher = (resolved(lake, uri)[1] for uri in (captioner, judge))
    captions = f"captions-{rows.fingerprint([how.written_by(), writer])}"
    scores = f"scores-{rows.fingerprint([how.judged_by(), weigher, captions])}"
    return Job(captioner=captioner, judge=judge, captions=captions, scores=scores, how=how)
