-- Which pictures repeat another one?
-- reads v_duplicate_groups, duplicate; returns batch and key of the largest groups: the one that is kept, then its copies
with

groups as (
    select
        row_number() over (order by copies desc, keeper, batch) as place,
        batch,
        keeper
    from v_duplicate_groups
    qualify place <= $most
),

members as (
    select
        place,
        1 as nth,
        batch,
        keeper as key
    from groups
    union all
    select
        groups.place,
        1 + row_number() over (
            partition by groups.place
            order by duplicate.distance, duplicate.key, duplicate.batch
        ) as nth,
        duplicate.batch,
        duplicate.key
    from groups
    join duplicate
        on duplicate.keeper_batch = groups.batch
        and duplicate.keeper = groups.keeper
)

select
    case when nth = 1 then 'kept of group ' else 'copy in group ' end || place as kind,
    batch,
    key
from members
where nth <= 4
order by place, nth
