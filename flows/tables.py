"""What tables for a person have in common: the names of scores, differences, and no frame."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

# Score in the evaluation -> how it is called here. ITC is by embedding, ITM re-ranked by the match.
SCORES = {
    "bleu_4": "BLEU-4",
    "rouge_l": "ROUGE-L",
    "cider_d": "CIDEr-D",
    "self_r1": "own caption finds picture R@1",
    "itc_tr_r1": "text retrieval R@1, ITC",
    "itm_tr_r1": "text retrieval R@1, ITM",
    "itm_tr_r5": "text retrieval R@5, ITM",
    "itc_ir_r1": "image retrieval R@1, ITC",
    "itm_ir_r1": "image retrieval R@1, ITM",
    "itm_ir_r5": "image retrieval R@5, ITM",
}
COLUMNS = 100  # of a page that is no terminal, such as a log


def told_to(is_terminal: bool) -> Console:
    """Return the console that results are printed on; a log gets lines of 100 columns."""
    return Console(soft_wrap=True, width=None if is_terminal else COLUMNS)


def difference_told(found: Mapping[str, float] | None) -> str:
    """Return a difference with its interval, such as `+0.040 [+0.03, +0.05]`."""
    return f"{found['value']:+.3f} [{found['low']:+.2f}, {found['high']:+.2f}]" if found else ""


def bare_table(first: str, title: str) -> Table:
    """Return a table with a title and its first column, and no frame."""
    return Table(first, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
