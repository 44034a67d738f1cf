-- What is written of a rule with each of its decisions?
-- reads rule; returns order, rule, version, reason and signal, by order
select
    "order",
    rule,
    version,
    reason,
    signal
from rule
order by "order"
