-- How many captions of every source were offered and selected?
-- reads candidate, selected; returns source, captions and selected, in order
select
    source,
    count(*) as captions,
    count(selected.caption_id) as selected
from candidate
left join selected using (batch, caption_id, source)
group by all
order by source
