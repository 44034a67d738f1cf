-- Which gates are there, what does each measure, and between which limits is a number well?
-- reads nothing; returns a row a gate and measure: its limits, the smallest n on which it may fail, why it matters
-- a null limit is none; fewer rows than min_n can warn and not fail, for chance alone could do it
-- compared: the number is not the measure `of` itself but what became of it since the last green run:
-- a ratio, a difference, or how many spreads (median absolute deviations) it lies away
with

named (
    gate, measure, title, warn_low, fail_low, warn_high, fail_high, min_n, of_measure, compared, why
) as (
    values
    ('G1', 'rows', 'Rows that are missing or too many', null, null, null, 0, 1, null, null, 'a silent loss: remove the commit record named and run its stage again'),
    ('G2', 'batch', 'Candidates of a batch that were fetched', 0.85, 0.60, null, null, 100, null, null, 'healthy crawls reach 0.86 to 0.97; far less is a DNS or proxy fault'),
    ('G2', 'shard', 'Candidates of a shard that were fetched', 0.60, 0.30, null, null, 100, null, null, 'the shard met an outage and is put aside, selections leave it out: fetch it again with python -m tasks.ingestion --retry-failed'),
    ('G3', 'broken', 'Fetched bytes that are no sound picture', null, null, 0.02, 0.10, 100, null, null, 'a feed of broken files, or a decoder that broke'),
    ('G4', 'keys', 'Keys that are doubled or point to no picture', null, null, null, 0, 1, null, null, 'training would read the wrong picture'),
    ('G5', 'missing', 'Values missing in a signal that is always computed', null, null, 0.005, 0.05, 100, null, null, 'a signal broke without an error'),
    ('G6', 'exact', 'Pictures that are the same bytes as another', null, null, 0.05, 0.25, 100, null, null, 'the feed loops'),
    ('G6', 'near', 'Pictures that look like another', null, null, 0.15, 0.40, 100, null, null, 'the feed loops'),
    ('G7', 'text', 'Share of the most frequent web text', null, null, 0.005, 0.05, 100, null, null, 'a flood of boilerplate'),
    ('G8', 'accepted', 'Web texts that the filter accepts', null, 0.10, null, 0.995, 100, null, null, 'a collapsed filter says one thing to everything'),
    ('G8', 'accepted since', 'Spreads between this and the last green run in web texts accepted', -3, null, 3, null, 100, 'accepted', 'spreads', 'the web or the filter has changed'),
    ('G9', 'rejected', 'Synthetic texts that the filter rejects', 0.10, 0.02, 0.45, 0.80, 100, null, null, 'BLIP: 0.25 is healthy; 0.08 is a filter that believes its own captioner'),
    ('G10', 'distinct', 'Synthetic texts that are distinct', 0.50, 0.10, null, null, 100, null, null, 'a captioner that says the same of everything'),
    ('G10', 'pairs since', 'Distinct pairs of words, as a share of those in the last green run', 0.80, null, null, null, 100, 'pairs', 'ratio', 'a captioner that says less than it did'),
    ('G10', 'words', 'Words a synthetic text', 5, 3, null, null, 100, null, null, 'a captioner that breaks off'),
    ('G11', 'psi', 'Population stability index of a signal against the last green run', null, null, 0.10, 0.25, 200, null, null, 'the source has changed; thresholds may no longer fit'),
    ('G12', 'languages', 'Share of web texts whose language changed since the last green run', null, null, 0.10, 0.30, 100, null, null, 'the source has changed'),
    ('G13', 'auc', 'AUC of the filter on texts whose truth is known', 0.90, 0.80, null, null, 100, null, null, '0.5 is chance'),
    ('G13', 'auc since', 'Change of that AUC since the last green run', -0.03, null, null, null, 100, 'auc', 'difference', 'the filter got worse'),
    ('G13', 'recall since', 'Change since the last green run in known noise that the threshold finds', -0.03, null, null, null, 100, 'recall', 'difference', 'the filter got worse at its threshold'),
    ('G13', 'canary', 'AUC of the filter on the canary', 0.90, null, null, null, 100, null, null, 'the shipped canary is of drawings: for other pictures give capfilt a canary of your own'),
    ('G13', 'own canary', 'AUC of the filter on your own canary', 0.90, 0.80, null, null, 100, null, null, '0.5 is chance'),
    ('G13', 'canary since', 'Change of the AUC on the canary since the last green run', -0.03, -0.10, null, null, 100, 'canary', 'difference', 'the filter got worse'),
    ('G13', 'canary recall since', 'Change since the last green run in the canary''s noise that the threshold finds', -0.03, null, null, null, 100, 'canary recall', 'difference', 'the filter got worse at its threshold'),
    ('G14', 'models', 'Models that wrote or judged within one run', null, null, null, 1, 1, null, null, 'a run of two models cannot be repeated'),
    ('G14', 'rules', 'Versions of one rule within one selection', null, null, null, 1, 1, null, null, 'a selection by two rules cannot be repeated'),
    ('G14', 'signals', 'Versions of the settings or libraries within one run and batch', null, null, 1, null, 1, null, null, 'signals of two versions may differ'),
    ('G15', 'opted out', 'Selected texts whose picture''s owner has opted out', null, null, null, 0, 1, null, null, 'policy: choose again, without them'),
    ('G15', 'unsafe', 'Selected texts with personal data, or with a picture that is not the one their table vetted', null, null, null, 0, 1, null, null, 'policy: choose again, without them'),
    ('G16', 'leaked', 'Selected pictures that models are judged on', null, null, 0, 0.001, 1, null, null, 'scores would be too good'),
    ('G17', 'thinnest', 'Pictures of the thinnest shard, against its batch''s median', 0.50, null, null, null, 1, null, null, 'a thin shard skews training'),
    ('G17', 'fullest', 'Pictures of the fullest shard, against its batch''s median', null, null, 1.50, null, 1, null, null, 'a fat shard skews training'),
    ('G17', 'empty', 'Shards without a picture', null, null, null, 0, 1, null, null, 'an empty shard skews training, and its fetch has failed'),
    ('G18', 'no numbers', 'RBM scores that are no number', null, null, null, 0, 1, null, null, 'embeddings or machine broke'),
    ('G18', 'surprising', 'Pairs with a free energy above the 99th percentile of the last green run', null, null, 0.03, 0.10, 100, null, null, 'embeddings or machine broke'),
    ('G19', 'cost', 'Work a thousand selected texts, against the plan''s budget', null, null, 1.5, 3, 1, null, null, 'the run costs more than it may'),
    ('G19', 'cost since', 'Work a thousand selected texts, against the last green run', null, null, 1.5, null, 1, 'seconds', 'ratio', 'the run costs more than it did'),
    ('G19', 'pace since', 'Rows a second of a stage, against the last green run', 0.70, null, null, null, 1, 'pace', 'ratio', 'a stage has become slow')
)

select
    gate,
    measure,
    title,
    warn_low::double as warn_low,
    fail_low::double as fail_low,
    warn_high::double as warn_high,
    fail_high::double as fail_high,
    min_n,
    of_measure,
    compared,
    why
from named
