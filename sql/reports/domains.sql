-- Which domains does web text come from, and how much of it is dropped?
-- reads v_noise_by_domain; returns the twenty largest domains of the selection $selection
select
    domain,
    n,
    noise_rate,
    top_reason,
    median_itm
from v_noise_by_domain
where selection = $selection
order by n desc, domain
limit 20
