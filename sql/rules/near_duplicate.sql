-- Is the picture a copy of another one that is kept?
-- reads candidate; returns batch, caption_id and value of the offenders
select
    batch,
    caption_id,
    duplicate_distance as value
from candidate
where keeper is not null
