-- Why is this picture's text in a selection, or why not?
-- reads sample_final, decision, rule, sample; a macro over a key; returns a row a text and rule that found it wanting
-- of a picture that was not kept it says what became of its candidate
create or replace macro why(wanted) as table (
    with

    judged as (
        select
            sample_final.selection,
            sample_final.batch,
            sample_final.source,
            sample_final.caption_id,
            sample_final.text,
            sample_final.kept,
            decision.verdict,
            decision."order",
            decision.rule,
            decision.version,
            decision.reason,
            decision.signal,
            decision.value,
            rule.operator,
            decision.threshold,
            rule.meaning
        from sample_final
        left join decision
            on decision.selection = sample_final.selection
            and decision.batch = sample_final.batch
            and decision.caption_id = sample_final.caption_id
        left join rule
            on rule.rule = decision.rule
            and rule.version = decision.version
        where sample_final.key = wanted
    ),

    lost as (
        select
            batch,
            source,
            caption as text,
            false as kept,
            'drop' as verdict,
            0 as "order",
            'ingestion' as rule,
            outcome as reason,
            coalesce(error_message, 'the picture could not be had') as meaning
        from sample
        where key = wanted and outcome <> 'kept'
    )

    select * exclude (caption_id)
    from (from judged union all by name from lost)
    order by selection nulls first, batch, source, caption_id, "order"
)
