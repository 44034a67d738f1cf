-- Which texts stand under many pictures?
-- reads v_boilerplate; returns the twenty most repeated texts of the selection $selection
select
    text,
    source,
    pictures,
    domains,
    mean_itm,
    keep_rate
from v_boilerplate
where selection = $selection
order by pictures desc, text, source
limit 20
