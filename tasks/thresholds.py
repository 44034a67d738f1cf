"""The numbers that selection's rules compare with."""

from dataclasses import dataclass, fields

from tasks.bounds import at_least, shares
from tasks.errors import InputError

LEAKAGE_BITS = 3  # sql/selection/leakage.sql finds no pair further apart


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Every number a rule compares with; where each comes from.

    Attributes:
        itm_probability: lowest probability of a match (BLIP's authors use 0.5).
        itc_fraction: share of the web that `itc_top_fraction` keeps (DataComp: 0.3).
        rbm_pmi_quantile: share of the texts of a source that `pmi` drops.
        texts_per_source: most texts of a picture from web and captioner each; 0 is all.
        texts_per_picture: most texts of a picture that `blip2` keeps; 0 is all (BLIP-2: 2).
        top_k: how many texts `top_k` keeps; it must be said.
        texts_per_concept: texts that `concept_cap` keeps of a word (MetaCLIP: 20,000).
        min_words: DataComp's basic filter, more than two words.
        min_chars: DataComp's basic filter, more than five characters.
        max_words: more is an article.
        min_alpha_ratio: share of letters.
        max_special_ratio: share of what is no letter, digit or space.
        max_digit_ratio: share of digits.
        max_char_rep: share of repeated runs of five characters.
        language: what the model is to learn.
        language_confidence: the detector is believed from here on ...
        language_min_words: ... for texts of so many words, or with letters beyond ASCII.
        repeated_count: a text under fewer pictures is never boilerplate.
        repeated_share: share of a batch's texts from which one is boilerplate.
        repeated_share_of_domains: the same for a text found on many domains.
        repeated_domains: on more than these it is on many.
        min_side: pixels of the fetched picture (DataComp: 200).
        max_aspect_ratio: long side over short side (DataComp: 3).
        max_flat_frac: largest share of one colour.
        min_entropy: bits of the grey histogram.
        min_lap_var: variance of the Laplacian below which a picture is blurred ...
        sharp_entropy: ... when its histogram holds at least so many bits.
        leakage_distance: bits between perceptual hashes that make one picture of two.
    """

    itm_probability: float = 0.5
    itc_fraction: float = 0.3
    rbm_pmi_quantile: float = 0.1
    texts_per_source: int = 1
    texts_per_picture: int = 2
    top_k: int = 0
    texts_per_concept: int = 20_000
    min_words: int = 3
    min_chars: int = 6
    max_words: int = 80
    min_alpha_ratio: float = 0.5
    max_special_ratio: float = 0.35
    max_digit_ratio: float = 0.5
    max_char_rep: float = 0.3
    language: str = "en"
    language_confidence: float = 0.5
    language_min_words: int = 4
    repeated_count: int = 8
    repeated_share: float = 0.01
    repeated_share_of_domains: float = 0.0001
    repeated_domains: int = 3
    min_side: int = 200
    max_aspect_ratio: float = 3.0
    max_flat_frac: float = 0.97
    min_entropy: float = 1.5
    min_lap_var: float = 15.0
    sharp_entropy: float = 3.0
    leakage_distance: int = LEAKAGE_BITS

    def __post_init__(self) -> None:
        shares(self, "itm_probability", "itc_fraction", "rbm_pmi_quantile")
        if not 0 <= self.leakage_distance <= LEAKAGE_BITS:
            raise InputError(
                f"leakage_distance is 0 to {LEAKAGE_BITS} bits, not {self.leakage_distance}"
            )
        at_least(0, self, *(one.name for one in fields(self) if one.name != "language"))
        if self.min_words > self.max_words:
            raise InputError(
                f"min_words {self.min_words} is above max_words {self.max_words}: nothing is left"
            )
