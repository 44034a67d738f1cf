-- Which gates are there, and between which limits is a number well?
-- reads nothing; returns gate, title, limits, the smallest n on which it may fail, and why it matters
-- a null limit is none; fewer rows than min_n can warn and not fail, for chance alone could do it
select
    gate,
    title,
    warn_low::double as warn_low,
    fail_low::double as fail_low,
    warn_high::double as warn_high,
    fail_high::double as fail_high,
    min_n,
    why
from (
    values
    ('G1', 'Every row in comes out, is dropped or has failed', null, null, 0, 0, 1, 'a silent loss: rerun the shard named'),
    ('G2', 'Candidates that were fetched', 0.85, 0.60, null, null, 100, 'healthy crawls reach 0.86 to 0.97; far less is a DNS or proxy fault'),
    ('G3', 'Fetched bytes that are no sound picture', null, null, 0.02, 0.10, 100, 'a feed of broken files, or a decoder that broke'),
    ('G4', 'Keys that are doubled or point to no picture', null, null, 0, 0, 1, 'training would read the wrong picture'),
    ('G5', 'Values missing in a signal that is always computed', null, null, 0.005, 0.05, 100, 'a signal broke without an error'),
    ('G6', 'Pictures that are copies', null, null, 0.15, 0.40, 100, 'the feed loops'),
    ('G7', 'Share of the most frequent web text', null, null, 0.005, 0.05, 1000, 'a flood of boilerplate'),
    ('G8', 'Web texts that the filter accepts', 0.20, 0.10, 0.95, 0.995, 100, 'a collapsed filter says one thing to everything'),
    ('G9', 'Synthetic texts that the filter rejects', 0.10, 0.02, 0.45, 0.80, 100, 'BLIP: 0.25 is healthy; 0.08 is a filter that believes its own captioner'),
    ('G10', 'Synthetic texts that are distinct', 0.50, 0.10, null, null, 100, 'a captioner that says the same of everything'),
    ('G13', 'AUC of the filter on planted noise', 0.90, 0.50, null, null, 100, '0.5 is chance'),
    ('G14', 'Models, or versions of a rule, within one run', null, null, 1, 1, 1, 'a run of two models cannot be repeated'),
    ('G16', 'Selected pictures that models are judged on', null, null, 0, 0.001, 1, 'scores would be too good'),
    ('G17', 'Pictures of the emptiest full shard, against the median', 0.50, 0, null, null, 1, 'an empty or thin shard skews training'),
    ('G18', 'RBM scores that are no number', null, null, 0, 0.10, 1, 'embeddings or machine broke')
) as gates (gate, title, warn_low, fail_low, warn_high, fail_high, min_n, why)
