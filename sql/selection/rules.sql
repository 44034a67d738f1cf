-- Which rules are evaluated for every caption, in which order, and what does each mean?
-- reads nothing; returns rule, version, family, reason, signal, operator, order and meaning
-- the first rule that drops a caption, by order, gives its reason; a changed rule gets a new version
select *
from (
    values
    ('source_not_wanted', 1, 'policy', 'source_not_wanted', 'source', 'in', 10, 'the policy does not train on texts of this source'),
    ('evaluation_leakage', 1, 'picture', 'evaluation_leakage', 'leakage_distance', '<=', 20, 'the picture is one that models are judged on'),
    ('near_duplicate', 1, 'picture', 'near_duplicate', 'duplicate_distance', 'is', 30, 'the picture is a copy of one that is kept'),
    ('min_side', 1, 'picture', 'image_too_small', 'min_side', '<', 40, 'the fetched picture is too small'),
    ('max_aspect_ratio', 1, 'picture', 'odd_aspect', 'aspect_ratio', '>', 41, 'the fetched picture is a strip'),
    ('blank', 1, 'picture', 'blank', 'flat_frac', '>', 42, 'the picture is almost one colour'),
    ('low_information', 1, 'picture', 'low_information', 'entropy', '<', 43, 'the picture holds almost no grey levels'),
    ('blurry', 1, 'picture', 'blurry', 'lap_var', '<', 44, 'the picture has grey levels and no edges'),
    ('degenerate', 1, 'text', 'degenerate', 'degenerate', 'is', 50, 'the captioner wrote no sentence'),
    ('min_words', 1, 'text', 'text_too_short', 'n_words', '<', 60, 'too few words to describe a picture'),
    ('min_chars', 1, 'text', 'text_too_short', 'n_chars', '<', 61, 'too few characters to describe a picture'),
    ('max_words', 1, 'text', 'text_too_long', 'n_words', '>', 62, 'an article, not a caption'),
    ('filename', 1, 'text', 'filename', 'is_filename', 'is', 63, 'the text is a file name'),
    ('url_text', 1, 'text', 'url_text', 'url_in_text', 'is', 64, 'the text holds an address'),
    ('boilerplate', 1, 'text', 'boilerplate', 'has_stop_phrase', 'is', 65, 'a phrase of the site, not of the picture'),
    ('min_alpha_ratio', 1, 'text', 'text_symbols', 'alpha_ratio', '<', 66, 'too few letters'),
    ('max_special_ratio', 1, 'text', 'text_symbols', 'special_ratio', '>', 67, 'too many symbols'),
    ('max_digit_ratio', 1, 'text', 'text_symbols', 'digit_ratio', '>', 68, 'too many digits'),
    ('max_char_rep', 1, 'text', 'text_repetition', 'char_rep', '>', 69, 'the text repeats itself'),
    ('pii', 1, 'text', 'pii', 'pii_flag', 'is', 70, 'an e-mail address or a telephone number'),
    ('not_english', 1, 'text', 'not_english', 'lang_conf', '>=', 71, 'surely in another language'),
    ('caption_repeated', 1, 'text', 'caption_repeated', 'repeats', '>=', 72, 'the same text under too many pictures'),
    ('not_scored', 1, 'pair', 'not_scored', 'itm_probability', 'is', 80, 'the filter gave no number'),
    ('itm_probability', 1, 'pair', 'itm_mismatch', 'itm_probability', '<', 81, 'the filter finds that text and picture do not match'),
    ('itc_top_fraction', 1, 'pair', 'itc_low', 'itc_cosine', '<', 82, 'not among the pairs whose vectors are closest'),
    ('rbm_pmi', 1, 'pair', 'rbm_pmi_low', 'rbm_pmi', '<', 83, 'the text tells too little about the picture'),
    ('texts_per_source', 2, 'policy', 'better_text', 'rank', '>', 90, 'another text of the same source fits the picture better'),
    ('texts_per_picture', 1, 'policy', 'better_text', 'rank', '>', 91, 'other texts of the picture are closer to it'),
    ('itm_top_k', 1, 'policy', 'itm_rank_low', 'rank', '>', 92, 'not among the texts that match their pictures best'),
    ('concept_cap', 1, 'policy', 'concept_full', 'rank', '>', 93, 'enough other texts name all that it names')
) as rules (rule, version, family, reason, signal, operator, "order", meaning)
order by "order"
