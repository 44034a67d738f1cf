-- Where do the findings of all rules go?
-- reads nothing; returns no row, with the columns of a finding; what a rule has no number for stays null
select
    null::varchar as rule,
    null::varchar as batch,
    null::varchar as caption_id,
    null::double as value,
    null::double as threshold
where false
