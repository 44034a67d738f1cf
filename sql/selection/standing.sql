-- Which captions has no rule dropped so far, and which may be ranked against each other?
-- reads candidate, finding, policy, place; returns candidates; human texts are references and all stay
select
    candidate.rowid as number,
    candidate.batch,
    candidate.key,
    candidate.caption_id,
    candidate.source,
    candidate.itm_probability,
    candidate.itc_cosine,
    candidate.rerank_score
from candidate
anti join (
    select finding.number
    from finding
    join place using (number)
    join policy using (source, rule)
) as dropped on dropped.number = candidate.rowid
where candidate.source <> 'human'
