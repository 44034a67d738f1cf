-- What was measured of each picture that was fetched and is sound?
-- reads sample; returns a row a picture
create or replace view image_signal as
select
    batch,
    shard,
    key,
    original_width,
    original_height,
    least(original_width, original_height) as min_side,
    greatest(original_width, original_height)
    / nullif(least(original_width, original_height), 0) as aspect_ratio,
    format,
    mode,
    n_frames,
    bytes,
    lap_var,
    entropy,
    bright_p1,
    bright_p50,
    bright_p99,
    colorfulness,
    flat_frac,
    edge_frac,
    axis_frac,
    phash,
    dhash,
    trimmed_phash,
    trimmed_dhash
from sample
where outcome = 'kept'
