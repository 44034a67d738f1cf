-- What is the first reason why a caption was dropped, and what are all of them?
-- reads sample_final; returns a row a selection and caption that some rule drops
create or replace view v_first_drop as
select
    selection,
    batch,
    shard,
    key,
    caption_id,
    source,
    first_reason,
    first_rule,
    all_reasons
from sample_final
where not kept
