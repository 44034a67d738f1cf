-- Of texts with an ITM probability of so much, how many are right?
-- reads v_labelled; returns a row a tenth of the probability of the selection $selection
select
    floor(least(itm_probability, 0.9999) * 10) / 10 as low,
    floor(least(itm_probability, 0.9999) * 10) / 10 + 0.1 as high,
    avg(itm_probability) as expected,
    avg((not is_noise)::int) as right_share,
    count(*) as n
from v_labelled
where selection = $selection and not is_duplicate and isfinite(itm_probability)
group by all
order by low
