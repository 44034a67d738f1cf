-- What share of an RBM's scores is no number, and what share of its energies is as no pair's was before?
-- reads score, caption, current_run, baseline_profile; returns measure, slice, metric, n
-- the 99th percentile is that of the same machine on the same source in the last green run, the
-- highest of its batches: energies of two machines do not compare
with

judged as (
    select
        score.run,
        score.batch,
        score.model,
        caption.source,
        score.rbm_pmi,
        score.free_energy
    from score
    join current_run
        on current_run.stage = 'rbm'
        and current_run.run = score.run
        and current_run.batch = score.batch
    join caption
        on caption.batch = score.batch
        and caption.caption_id = score.caption_id
),

reference as (
    select
        source,
        model,
        max(p99) as p99
    from baseline_profile
    where signal = 'free_energy'
    group by all
)

select
    'no numbers' as measure,
    run || ' on ' || batch as slice,
    count(*) filter (not isfinite(rbm_pmi) or not isfinite(free_energy)) as metric,
    count(*) as n
from judged
group by run, batch
union all
select
    'surprising' as measure,
    judged.source || ' texts by ' || judged.run || ' on ' || judged.batch as slice,
    avg((judged.free_energy > reference.p99)::int) as metric,
    count(*) as n
from judged
join reference using (source, model)
where isfinite(judged.free_energy)
group by judged.source, judged.run, judged.batch
