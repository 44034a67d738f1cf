-- What drops when every text of the web is taken as it is?
-- reads nothing; returns source and rule: what is named drops, every other rule only flags
select
    unnest(['web', 'human']) as source,
    'evaluation_leakage' as rule
