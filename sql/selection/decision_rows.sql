-- What was decided, and by which rule?
-- reads decision; returns it, caption after caption
select *
from decision
order by place, "order"
