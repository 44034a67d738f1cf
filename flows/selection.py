"""Captions and scores -> what is trained on, decided in SQL."""

from prefect import flow

from flows.dispatch import job_task
from flows.environment import this_machine
from tasks import selection as stage

select = job_task("select {how.policy}")(stage.select)


@flow(name="selection")
def selection(how: stage.Selection, lake: str = "") -> stage.SelectionCard:
    """Apply one policy and write its decisions; seconds, and no GPU.

    Args:
        how: the policy, its thresholds, and the runs whose captions and scores it reads.
        lake: a folder or object-store prefix; empty means this machine's CAPLIFT_LAKE.

    Returns:
        The selection's card: id, digest and counts.
    """
    return select(this_machine().open_lake(lake), how)
