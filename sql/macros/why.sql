-- Why is this picture's text in a selection, or why not?
-- reads sample_final, decision, rule; a macro over a key; returns a row a text, and a rule that found it wanting
create or replace macro why(wanted) as table (
    select
        sample_final.selection,
        sample_final.batch,
        sample_final.source,
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
    order by
        sample_final.selection,
        sample_final.source,
        sample_final.caption_id,
        decision."order"
)
