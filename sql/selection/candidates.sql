-- What is known of every caption that could be trained on?
-- reads caption, web, score, rbm_score, rerank, duplicate, leakage; returns a row a caption, every signal a column
with

picture as (
    select
        batch,
        key,
        domain,
        original_width,
        original_height,
        lap_var,
        entropy,
        flat_frac
    from web
    where outcome = 'kept'
),

-- The picture that stands for others may lie in a batch that is not chosen from, or not be kept
-- any more: then the first of those it stands for does.
marked as (
    select
        picture.batch,
        picture.key,
        twin.keeper,
        twin.distance,
        keeper.key is not null as has_keeper,
        row_number() over (
            partition by twin.keeper_batch, twin.keeper
            order by
                least(picture.original_width, picture.original_height) desc nulls last,
                picture.key,
                picture.batch
        ) as place
    from (
        select
            parse_path(path)[-2] as batch,
            key,
            keeper,
            -- Older lakes do not say it: there, batches were not compared with each other.
            coalesce(keeper_batch, parse_path(path)[-2]) as keeper_batch,
            distance
        from duplicate
    ) as twin
    join picture using (batch, key)
    left join picture as keeper
        on keeper.batch = twin.keeper_batch
        and keeper.key = twin.keeper
    where (twin.batch, twin.key) <> (twin.keeper_batch, twin.keeper)
),

twin as (
    select
        batch,
        key,
        keeper,
        distance as duplicate_distance
    from marked
    where has_keeper or place > 1
),

-- Almost every text stands under one picture: only the others can be repeated too often.
frequent as (
    select
        batch,
        text_norm_hash
    from caption
    where source = 'web' and text_norm_hash is not null
    group by batch, text_norm_hash
    having count(*) >= $repeated_count
),

repeated as (
    select
        batch,
        text_norm_hash,
        count(distinct key) as repeats,
        count(distinct domain) as domains
    from caption
    join frequent using (batch, text_norm_hash)
    join picture using (batch, key)
    where source = 'web'
    group by all
),

web_texts as (
    select
        batch,
        count(*) as n_texts
    from caption
    where source = 'web'
    group by all
),

-- A text is repeated too often when it is a large share of its batch, or widespread over domains.
allowed as (
    select
        batch,
        text_norm_hash,
        repeats,
        case
            when domains > $repeated_domains
                then greatest($repeated_count, $repeated_share_of_domains * n_texts)
            else greatest($repeated_count, $repeated_share * n_texts)
        end as repeats_allowed
    from repeated
    join web_texts using (batch)
),

itc_cuts as (
    select quantile_cont(itc_cosine, 1 - $itc_fraction) as itc_cut
    from score
    join caption using (batch, caption_id)
    where source = 'web' and not isnan(itc_cosine)
),

rbm_cuts as (
    select
        source,
        quantile_cont(rbm_score.rbm_pmi, $rbm_pmi_quantile) as rbm_pmi_cut
    from rbm_score
    join caption using (batch, caption_id)
    where not isnan(rbm_score.rbm_pmi)
    group by all
),

final as (
    select
        caption.batch,
        caption.shard,
        caption.key,
        caption.caption_id,
        caption.source,
        caption.text,
        caption.n_chars,
        caption.n_words,
        caption.lang,
        caption.lang_conf,
        caption.alpha_ratio,
        caption.digit_ratio,
        caption.special_ratio,
        caption.char_rep,
        caption.has_stop_phrase,
        caption.is_filename,
        caption.url_in_text,
        caption.pii_flag,
        caption.degenerate,
        allowed.repeats,
        allowed.repeats_allowed,
        picture.original_width,
        picture.original_height,
        picture.lap_var,
        picture.entropy,
        picture.flat_frac,
        twin.keeper,
        twin.duplicate_distance,
        leakage.leakage_distance,
        score.itm_probability,
        score.itc_cosine,
        itc_cuts.itc_cut,
        rbm_score.rbm_pmi,
        rbm_cuts.rbm_pmi_cut,
        rerank.rerank_score
    from caption
    join picture using (batch, key)
    left join twin using (batch, key)
    left join leakage using (batch, key)
    left join score using (batch, caption_id)
    left join rbm_score using (batch, caption_id)
    left join rerank using (batch, caption_id)
    left join rbm_cuts using (source)
    left join allowed
        on allowed.batch = caption.batch
        and allowed.text_norm_hash = caption.text_norm_hash
        and caption.source = 'web'
    cross join itc_cuts
)

select * from final
