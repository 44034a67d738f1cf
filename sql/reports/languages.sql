-- In which languages are the texts, as the detector sees it?
-- reads v_language_mix; returns web, human and synthetic counts of the twelve most frequent languages
with

summed as (
    select
        coalesce(lang, 'none told') as language,
        source,
        sum(n)::bigint as n
    from v_language_mix
    group by all
),

most as (
    select
        language,
        sum(n)::bigint as total
    from summed
    group by language
    order by total desc, language
    limit 12
)

select
    summed.language,
    summed.source,
    summed.n,
    most.total
from summed
join most using (language)
order by most.total desc, summed.language, summed.source
