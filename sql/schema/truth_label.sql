-- Which web captions have a known truth?
-- reads truth, caption; returns a row a caption whose text is the planted one, white space aside
select
    caption.batch,
    caption.shard,
    caption.key,
    caption.caption_id,
    caption.text,
    truth.right_text,
    truth.noise,
    truth.is_noise
from truth
join caption
    on caption.batch = truth.batch
    and caption.key = truth.key
    and (
        truth.text = caption.text
        or regexp_replace(trim(truth.text), '\s+', ' ', 'g')
        = regexp_replace(trim(caption.text), '\s+', ' ', 'g')
    )
where caption.source = 'web' and caption.run = 'ingestion'
