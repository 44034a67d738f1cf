-- Was the text written by a source this policy does not train on?
-- reads candidate; returns batch and caption_id of the offenders
select
    batch,
    caption_id
from candidate
where source not in (select source from policy)
