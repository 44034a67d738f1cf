-- What share of a selection's pictures is among those that models are judged on?
-- reads selected, sample, selection; returns slice, metric, n
-- equal bytes, equal address, or both perceptual hashes close, as the rule evaluation_leakage has it
with

judged as (
    select distinct
        selection.id as selection,
        sample.key,
        sample.sha256,
        sample.phash,
        sample.dhash,
        sample.entropy
    from selection
    join sample on list_contains(selection.evaluation_batches, sample.batch)
    where sample.outcome = 'kept'
),

taken as (
    select distinct
        selected.selection,
        selected.batch,
        sample.key,
        sample.sha256,
        sample.phash,
        sample.dhash,
        sample.entropy
    from selected
    join sample
        on sample.batch = selected.batch
        and sample.key = selected.key
),

leaked as (
    select
        taken.selection,
        taken.batch,
        taken.key
    from taken
    join judged using (selection, key)
    union
    select
        taken.selection,
        taken.batch,
        taken.key
    from taken
    join judged using (selection, sha256)
    union
    select
        taken.selection,
        taken.batch,
        taken.key
    from taken
    join judged using (selection, phash)
    where
        bit_count(xor(taken.dhash, judged.dhash)) <= 10
        and taken.entropy >= 1.5
        and judged.entropy >= 1.5
)

select
    taken.selection as slice,
    avg((leaked.key is not null)::int) as metric,
    count(*) as n
from taken
left join leaked using (selection, batch, key)
group by taken.selection
