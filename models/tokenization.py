"""Captions to token ids and back: WordPiece in BERT's layout, with BLIP's two extra first tokens.

A sequence is [first, pieces..., [SEP], [PAD]...]. The first token says which of BLIP's three roles
reads the text: [CLS] the text encoder (ITC), [ENC] the image-grounded encoder (ITM), [DEC] the
decoder (LM). In a BERT vocabulary [DEC] is 30522 and [ENC] 30523, as in the released weights.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

First = Literal["cls", "enc", "dec"]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BERT_IDS = (0, 100, 101, 102, 103)  # of those in BERT's own vocabulary
ROLE_TOKENS = ("[DEC]", "[ENC]")
MAX_WORDS = 30
MAX_LETTERS = 1000
_TO_SPACE = re.compile(r"[.!\"()*#:;~]")


def clean_caption(text: str, max_words: int = MAX_WORDS) -> str:
    """Return the caption as BLIP trains on it (its `pre_caption`).

    Lower case; each of `. ! " ( ) * # : ; ~` becomes a space; white space collapses; the first
    `max_words` words stay.
    """
    return " ".join(_TO_SPACE.sub(" ", text.lower()).split()[:max_words])


def clean_question(text: str) -> str:
    """Return the question as BLIP trains on it (its `pre_question`).

    As `clean_caption`, but the marks are deleted and part no words; `?` stays in both.
    """
    return _TO_SPACE.sub("", text.lower())


class Tokenizer:
    """WordPiece over cleaned captions; the whole of it is one JSON string."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = pieces
        missing = [t for t in (*SPECIAL_TOKENS, *ROLE_TOKENS) if pieces.token_to_id(t) is None]
        if missing:
            raise ValueError(f"the vocabulary lacks {', '.join(missing)}; was it made by Caplift?")
        self.pad, self.unk, self.cls, self.sep, self.mask = (
            int(pieces.token_to_id(token)) for token in SPECIAL_TOKENS
        )
        self.dec, self.enc = (int(pieces.token_to_id(token)) for token in ROLE_TOKENS)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "Tokenizer":
        """Learn at most `vocab_size` pieces, the seven special ones included, from captions.

        The same texts give the same vocabulary. Letters too rare for its size read as [UNK].

        Raises:
            ValueError: `vocab_size` has no room for a single letter.
        """
        room = (vocab_size - len(SPECIAL_TOKENS) - len(ROLE_TOKENS)) // 2
        if room < 1:
            raise ValueError(f"vocab_size is 9 or more, not {vocab_size}")
        cleaned = [clean_caption(text) for text in texts]
        pieces = _wordpiece({})
        alphabet = _alphabet(pieces, cleaned)[: min(room, MAX_LETTERS)]
        # The library numbers continuing letters in the order of a hash map, and ties between
        # merges fall by number: named here, in order, they come out the same every time.
        continuing = [f"##{letter}" for letter in alphabet]
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocab_size - len(ROLE_TOKENS),
            special_tokens=[*SPECIAL_TOKENS, *continuing],
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        pieces.train_from_iterator(cleaned, trainer)
        return cls(_wordpiece(pieces.get_vocab()))

    @classmethod
    def bert(cls, vocabulary: Path) -> "Tokenizer":
        """Load BERT's vocabulary, one piece a line, and append [DEC] and [ENC].

        Raises:
            ValueError: a piece stands there twice, so that lines are no ids.
        """
        # At line feeds alone: some vocabularies hold other marks that end a line, as pieces.
        lines = vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        if len(set(lines)) < len(lines):
            twice = Counter(lines).most_common(1)[0][0]
            raise ValueError(f"the vocabulary {vocabulary} lists {twice!r} more than once")
        return cls(_wordpiece({piece: index for index, piece in enumerate(lines)}))

    @classmethod
    def bert_json(cls, text: str) -> "Tokenizer":
        """Take the vocabulary of a BERT tokenizer's `tokenizer.json`; as `bert`.

        Raises:
            ValueError: it is no WordPiece vocabulary, or has gaps between its ids.
        """
        theirs = tokenizers.Tokenizer.from_str(text)
        vocabulary = {str(piece): int(n) for piece, n in theirs.get_vocab().items()}
        if not isinstance(theirs.model, models.WordPiece):
            raise ValueError(f"its tokenizer is {type(theirs.model).__name__}, BERT's is WordPiece")
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise ValueError(f"the ids of its {len(vocabulary)} pieces have gaps")
        return cls(_wordpiece(vocabulary))

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """Rebuild a tokenizer from `to_json`."""
        return cls(tokenizers.Tokenizer.from_str(text))

    def to_json(self) -> str:
        """Return everything there is to know, in the `tokenizers` library's own format."""
        return str(self.pieces.to_str())

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return int(self.pieces.get_vocab_size())

    @property
    def kind(self) -> str:
        """Whose layout the special tokens are in: "bert", or "trained" on captions."""
        ids = (self.pad, self.unk, self.cls, self.sep, self.mask)
        return "bert" if ids == BERT_IDS else "trained"

    @property
    def unspeakable(self) -> tuple[int, ...]:
        """The ids a caption never contains: every special token but [SEP], which ends it."""
        return (self.pad, self.unk, self.cls, self.mask, self.dec, self.enc)

    def first(self, role: First) -> int:
        """Return the id that opens a sequence for this role."""
        return {"cls": self.cls, "enc": self.enc, "dec": self.dec}[role]

    def encode(
        self, texts: Sequence[str], max_length: int, first: First = "cls"
    ) -> tuple[Tensor, Tensor]:
        """Clean and encode captions, padded to the longest.

        Args:
            texts: N captions.
            max_length: most tokens of a sequence, the first one and [SEP] included.
            first: the role that will read them.

        Returns:
            int64 (N, L) ids and bool (N, L), true on real tokens.
        """
        bodies = [body[: max_length - 2] for body in self._bodies(texts)]
        length = max((len(body) for body in bodies), default=0) + 2
        ids = torch.full((len(bodies), length), self.pad, dtype=torch.int64)
        for row, body in enumerate(bodies):
            sequence = [self.first(first), *body, self.sep]
            ids[row, : len(sequence)] = torch.tensor(sequence)
        return ids, ids != self.pad

    def encode_prompt(self, prompt: str) -> list[int]:
        """Return [DEC] and the prompt's pieces: what a decoder continues."""
        return [self.dec, *self._bodies([prompt])[0]]

    def decode(self, ids: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each row up to its first [SEP], without special tokens."""
        rows = ids.tolist() if isinstance(ids, Tensor) else [list(row) for row in ids]
        bodies = [row[: row.index(self.sep)] if self.sep in row else row for row in rows]
        return [str(text) for text in self.pieces.decode_batch(bodies, skip_special_tokens=True)]

    def _bodies(self, texts: Sequence[str]) -> list[list[int]]:
        cleaned = [clean_caption(text) for text in texts]
        encoded = self.pieces.encode_batch(cleaned, add_special_tokens=False)
        return [list(one.ids) for one in encoded]


def _wordpiece(vocabulary: dict[str, int]) -> Any:
    """Return a WordPiece tokenizer; the special and role tokens go behind what it lacks of them."""
    pieces = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    if vocabulary:
        pieces.add_special_tokens([*SPECIAL_TOKENS, *ROLE_TOKENS])
    return pieces


def _alphabet(pieces: Any, texts: Sequence[str]) -> list[str]:
    """Return the letters of the texts, the most frequent first."""
    counts = Counter(letter for text in texts for letter in pieces.normalizer.normalize_str(text))
    letters = (letter for letter in counts if not letter.isspace())
    return sorted(letters, key=lambda letter: (-counts[letter], letter))
