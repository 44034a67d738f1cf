-- Which pictures repeat another one?
-- reads v_duplicate_groups; returns batch and key of the largest groups: the one that is kept, then its copies
with

groups as (
    select
        batch,
        keeper,
        [keeper] || keys as members,
        copies,
        row_number() over (order by copies desc, keeper, batch) as place
    from v_duplicate_groups
),

members as (
    select
        place,
        batch,
        copies,
        unnest(members[:4]) as key,
        generate_subscripts(members[:4], 1) as nth
    from groups
    where place <= $most
)

select
    case when nth = 1 then 'kept of group ' else 'copy in group ' end || place as kind,
    batch,
    key
from members
order by place, nth
