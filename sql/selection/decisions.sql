-- What does the policy make of every finding: does it drop the caption, or only flag it?
-- reads finding, place, rule, policy; returns place, order of the rule, value, threshold and drops
-- the names of caption and rule are put to it when it is written, a shard at a time
select
    place.place,
    rule."order",
    finding.value,
    finding.threshold,
    finding.rule = 'source_not_wanted' or policy.rule is not null as drops
from finding
join place using (number)
join rule using (rule)
left join policy
    on policy.source = place.source
    and policy.rule = finding.rule
