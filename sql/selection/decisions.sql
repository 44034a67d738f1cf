-- What does the policy make of every finding: does it drop the caption, or only flag it?
-- reads finding, candidate, rule, policy; returns a row of the decisions table for each finding
with

final as (
    select
        candidate.caption_id,
        candidate.key,
        candidate.batch,
        candidate.shard,
        $selection as selection,
        finding.rule,
        rule.version,
        rule.reason,
        rule.signal,
        finding.value,
        finding.threshold,
        rule."order",
        case
            when finding.rule = 'source_not_wanted' or policy.rule is not null then 'drop'
            else 'flag'
        end as verdict
    from finding
    join candidate using (batch, caption_id)
    join rule using (rule)
    left join policy
        on policy.source = candidate.source
        and policy.rule = finding.rule
)

select * from final
