-- How is every caption called, and what does training read of it?
-- reads candidate, outcome; returns place, key, caption_id, text (of the selected ones), source and is_selected, in their places
select
    outcome.place,
    candidate.key,
    candidate.caption_id,
    case when outcome.is_selected then candidate.text end as text,
    candidate.source,
    outcome.is_selected
from candidate
join outcome on outcome.number = candidate.rowid
order by outcome.place
