-- What is the first reason why a caption was dropped, and what are all of them?
-- reads decision; returns a row a selection and caption that some rule drops
create or replace view v_first_drop as
select
    selection,
    batch,
    key,
    caption_id,
    min_by(reason, "order") as first_reason,
    min_by(rule, "order") as first_rule,
    min("order") as first_order,
    list_distinct(list(reason order by "order")) as all_reasons
from decision
where verdict = 'drop'
group by selection, batch, key, caption_id
