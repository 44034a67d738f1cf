-- Which picture repeats which, by which method, and how far apart are they?
-- reads duplicate, sample; returns a row a pair, with the addresses of both
create or replace view dup_edge as
select
    duplicate.batch,
    duplicate.key,
    copy.url,
    duplicate.keeper_batch,
    duplicate.keeper,
    kept.url as keeper_url,
    duplicate.method,
    duplicate.distance
from duplicate
left join sample as copy
    on copy.batch = duplicate.batch
    and copy.key = duplicate.key
left join sample as kept
    on kept.batch = duplicate.keeper_batch
    and kept.key = duplicate.keeper
