-- What became of every caption that a selection was offered?
-- reads selection, stale, caption, sample, score, decision, rule; returns a row a caption of the stale shards of $selection
-- views read this table: the joins are paid for once
with

offered as (
    select
        selection.id as selection,
        selection.policy,
        selection.score_run,
        selection.rbm_run,
        caption.batch,
        caption.shard,
        caption.key,
        caption.caption_id,
        caption.run,
        caption.source,
        caption.text,
        caption.n_words,
        caption.lang,
        caption.text_norm_hash,
        caption.lm_logprob
    from selection
    join caption
        on list_contains(selection.batches, caption.batch)
        and (caption.run = 'ingestion' or list_contains(selection.caption_runs, caption.run))
    join stale
        on stale.selection = selection.id
        and stale.batch = caption.batch
        and stale.shard = caption.shard
    where selection.id = $selection
),

verdict as (
    select
        decision.batch,
        decision.caption_id,
        min_by(decision.reason, decision."order") filter (verdict = 'drop') as first_reason,
        min_by(decision.rule, decision."order") filter (verdict = 'drop') as first_rule,
        list(distinct decision.reason) filter (verdict = 'drop') as all_reasons,
        list(distinct decision.reason) filter (verdict = 'flag') as flags,
        bool_or(verdict = 'drop' and rule.family = 'picture') as fails_picture,
        bool_or(verdict = 'drop' and rule.family <> 'pair') as fails_cheap
    from decision
    join stale using (selection, batch, shard)
    left join rule using (rule)
    where decision.selection = $selection
    group by decision.batch, decision.caption_id
),

final as (
    select
        offered.* exclude (score_run, rbm_run),
        sample.domain,
        sample.url,
        sample.page_url,
        sample.fetched_at::date as fetched_on,
        filter_score.itm_probability,
        filter_score.itc_cosine,
        rbm_score.rbm_pmi,
        rbm_score.gaussian_pmi,
        verdict.first_reason is null as kept,
        verdict.first_reason,
        verdict.first_rule,
        coalesce(list_sort(verdict.all_reasons), []) as all_reasons,
        coalesce(list_sort(verdict.flags), []) as flags,
        not coalesce(verdict.fails_picture, false) as passes_picture,
        not coalesce(verdict.fails_cheap, false) as passes_cheap
    from offered
    left join sample
        on sample.batch = offered.batch
        and sample.key = offered.key
    left join score as filter_score
        on filter_score.run = offered.score_run
        and filter_score.batch = offered.batch
        and filter_score.caption_id = offered.caption_id
    left join score as rbm_score
        on rbm_score.run = offered.rbm_run
        and rbm_score.batch = offered.batch
        and rbm_score.caption_id = offered.caption_id
    left join verdict
        on verdict.batch = offered.batch
        and verdict.caption_id = offered.caption_id
)

select * from final
