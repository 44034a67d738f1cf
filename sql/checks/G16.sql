-- What share of a selection's pictures is among those that models are judged on?
-- reads selected, sample, selection, concerned_selection; returns measure, slice, metric, n
-- equal bytes, equal address, or perceptual hashes at most three bits apart; two such hashes share
-- one of four bands of sixteen bits, so a join on bands finds all of them
with

judged as (
    select distinct
        selection.id as selection,
        sample.key,
        sample.sha256,
        sample.phash,
        sample.dhash,
        sample.entropy >= 1.5 as has_look
    from selection
    join concerned_selection on concerned_selection.selection = selection.id
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
        sample.entropy >= 1.5 as has_look
    from selected
    join concerned_selection using (selection)
    join sample
        on sample.batch = selected.batch
        and sample.key = selected.key
),

judged_band as (
    select
        *,
        unnest(range(4)) as band,
        (phash >> (16 * unnest(range(4)))) & 65535 as bits
    from judged
    where has_look
),

taken_band as (
    select
        *,
        unnest(range(4)) as band,
        (phash >> (16 * unnest(range(4)))) & 65535 as bits
    from taken
    where has_look
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
    -- The other hash is a second witness: pictures on white ground come close in one by chance.
    select
        taken_band.selection,
        taken_band.batch,
        taken_band.key
    from taken_band
    join judged_band using (selection, band, bits)
    where
        bit_count(xor(taken_band.phash, judged_band.phash)) <= 3
        and bit_count(xor(taken_band.dhash, judged_band.dhash)) <= 10
)

select
    'leaked' as measure,
    taken.selection as slice,
    avg((leaked.key is not null)::int) as metric,
    count(*) as n
from taken
left join leaked using (selection, batch, key)
group by taken.selection
