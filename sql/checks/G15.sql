-- Has a selection texts whose picture's owner has opted out, or that are not safe to train on?
-- reads selected, sample, caption, concerned_selection; returns measure, slice, metric, n
-- an owner may opt out after the picture was fetched: the newest crawl that asked has the last word
-- unsafe: bytes that are not those their table vetted, and personal data where a filter has chosen;
-- what is taken raw or from people is taken as it is
with

last_word as (
    select
        key,
        arg_max(outcome, (coalesce(fetched_at, 'epoch'::timestamptz), batch)) as outcome
    from sample
    group by key
),

taken as (
    select
        selected.selection,
        coalesce(last_word.outcome in ('opted_out', 'robots_txt'), false) as has_opted_out,
        coalesce(not sample.hash_matches, false)
        or (concerned_selection.score_run <> '' and coalesce(caption.pii_flag, false)) as is_unsafe
    from selected
    join concerned_selection using (selection)
    left join last_word using (key)
    left join sample
        on sample.batch = selected.batch
        and sample.key = selected.key
    left join caption
        on caption.batch = selected.batch
        and caption.caption_id = selected.caption_id
)

select
    'opted out' as measure,
    selection as slice,
    count(*) filter (has_opted_out) as metric,
    count(*) as n
from taken
group by selection
union all
select
    'unsafe' as measure,
    selection as slice,
    count(*) filter (is_unsafe) as metric,
    count(*) as n
from taken
group by selection
