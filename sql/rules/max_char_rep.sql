-- Does the text repeat itself, character by character?
-- reads candidate; returns number, value and threshold of the offenders
select
    rowid as number,
    char_rep as value,
    $max_char_rep as threshold
from candidate
where char_rep > $max_char_rep
