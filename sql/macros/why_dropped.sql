-- Why was this picture's text dropped?
-- reads why; a macro over a key; returns only the rules that dropped
create or replace macro why_dropped(wanted) as table (
    select * exclude (kept, verdict)
    from why(wanted)
    where verdict = 'drop'
    order by selection, source, text, "order"
)
