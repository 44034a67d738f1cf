-- How many captions of every source were offered and selected?
-- reads outcome; returns source, captions and selected, in order
select
    source,
    count(*) as captions,
    count(*) filter (is_selected) as selected
from outcome
group by all
order by source
