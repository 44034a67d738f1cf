"""Each training run's curve is named by what the run learnt from, and no two by the same name."""

from tasks.database import Database

MODELS = """
create table model as
from (values
    ('pretraining-0123456789ab', ['blip-1', 'human-1']),
    ('pretraining-0123456789ab', ['human-1', 'blip-1']),
    ('filter-0123456789ab', ['human-1']),
    ('captioner-0123456789ab', ['human-1']),
    ('captioner-ba9876543210', ['human-2'])
) as t(run, selections)
"""
SELECTIONS = """
create table selection as
from (values ('blip-1', 'blip'), ('human-1', 'human'), ('human-2', 'human')) as t(id, policy)
"""
TRAINING = """
create table training as
select run, 'lm' as name, step, 1.0 as value
from (select distinct run from model union all select 'mine'), range(3) as t(step)
"""


def test_runs_are_named_by_what_they_learnt_from() -> None:
    with Database() as database:
        for statement in (MODELS, SELECTIONS, TRAINING):
            database.ask(statement)
        found = database.rows("reports/training")
    assert {(row["run"], row["label"]) for row in found} == {
        ("pretraining-0123456789ab", "pretraining on blip + human"),
        ("filter-0123456789ab", "filter on human"),
        ("captioner-0123456789ab", "captioner on human, captioner-0123456789ab"),
        ("captioner-ba9876543210", "captioner on human, captioner-ba9876543210"),
        ("mine", "mine"),
    }
    assert len(found) == 5 * 3
