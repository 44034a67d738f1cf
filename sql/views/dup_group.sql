-- Which pictures are copies of each other, and which one stands for them?
-- reads duplicate, sample; returns a row a picture of a group, the one that is kept among them
create or replace view dup_group as
with

members as (
    select
        keeper_batch,
        keeper,
        batch,
        key,
        false as is_keeper,
        method,
        distance
    from duplicate
    union all
    select distinct
        keeper_batch,
        keeper,
        keeper_batch as batch,
        keeper as key,
        true as is_keeper,
        null as method,
        0 as distance
    from duplicate
)

select
    members.*,
    sample.shard,
    sample.url
from members
left join sample using (batch, key)
