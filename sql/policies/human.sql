-- What drops when only texts that people wrote for pictures are taken?
-- reads nothing; returns source and rule: what is named drops, every other rule only flags
select
    'human' as source,
    'evaluation_leakage' as rule
