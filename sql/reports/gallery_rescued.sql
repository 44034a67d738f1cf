-- Which pictures are in the selection only because a captioner described them?
-- reads sample_final; returns batch and key where every web text was dropped and a synthetic one kept
select
    '' as kind,
    batch,
    key
from sample_final
where selection = $selection
group by batch, key
having bool_or(kept and source = 'synthetic')
    and not bool_or(kept and source <> 'synthetic')
    and bool_or(source <> 'synthetic')
order by key, batch
limit $most
