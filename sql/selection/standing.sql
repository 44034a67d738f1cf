-- Which captions has no rule dropped so far, and which may be ranked against each other?
-- reads candidate, finding, policy; returns candidates; human texts are references and all stay
select candidate.*
from candidate
anti join (
    select
        finding.batch,
        finding.caption_id
    from finding
    join candidate using (batch, caption_id)
    join policy using (source, rule)
) as dropped using (batch, caption_id)
where source <> 'human'
