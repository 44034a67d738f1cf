"""Text becomes ids as BLIP wants them, comes back, and the vocabulary travels as one string."""

from pathlib import Path

import pytest
import tokenizers
import torch

from models.tokenization import Tokenizer, clean_caption, clean_question

TEXTS = ["two carrots and a key", "a red key on a table", "a dog's ball, not a cat?"] * 3


@pytest.fixture
def tokenizer() -> Tokenizer:
    return Tokenizer.train(TEXTS, 90)


def test_captions_are_cleaned_as_blip_cleans_them() -> None:
    dirty = 'A "Big"  Dog!  (brown*), it\'s #1: on-the;mat~ \n'
    assert clean_caption(dirty) == "a big dog brown , it's 1 on-the mat"


def test_only_the_first_thirty_words_stay() -> None:
    assert clean_caption("word " * 40).split() == ["word"] * 30


def test_a_sequence_is_first_pieces_end_padding(tokenizer: Tokenizer) -> None:
    ids, mask = tokenizer.encode(["a key", ""], 30, "enc")
    a, key = (tokenizer.pieces.token_to_id(piece) for piece in ("a", "key"))
    sep, pad = tokenizer.sep, tokenizer.pad
    assert ids.tolist() == [[tokenizer.enc, a, key, sep], [tokenizer.enc, sep, pad, pad]]
    assert mask.tolist() == [[True] * 4, [True, True, False, False]]


def test_the_roles_differ_in_the_first_token_alone(tokenizer: Tokenizer) -> None:
    roles = [tokenizer.encode(["a red dog"], 30, role)[0] for role in ("cls", "enc", "dec")]
    assert [ids[0, 0].item() for ids in roles] == [tokenizer.cls, tokenizer.enc, tokenizer.dec]
    assert torch.equal(roles[0][:, 1:], roles[1][:, 1:])
    assert torch.equal(roles[0][:, 1:], roles[2][:, 1:])


def test_a_long_text_is_cut_and_still_ends(tokenizer: Tokenizer) -> None:
    ids, _ = tokenizer.encode(["a red key on a table"], 5, "cls")
    assert ids.shape == (1, 5)
    assert ids[0, -1] == tokenizer.sep


def test_decoding_stops_at_the_first_end(tokenizer: Tokenizer) -> None:
    ids, _ = tokenizer.encode(["a red key", "two carrots and a key"], 30, "dec")
    assert tokenizer.decode(ids) == ["a red key", "two carrots and a key"]
    tail = torch.full((2, 3), int(ids[0, 2]))
    assert tokenizer.decode(torch.cat([ids, tail], dim=1)[:1]) == ["a red key"]


def test_the_vocabulary_travels_as_json(tokenizer: Tokenizer) -> None:
    back = Tokenizer.from_json(tokenizer.to_json())
    text = ["a dog's ball, and two unseen zebras"]
    assert torch.equal(back.encode(text, 30)[0], tokenizer.encode(text, 30)[0])
    assert (back.dec, back.enc, back.vocab_size) == (
        tokenizer.dec,
        tokenizer.enc,
        tokenizer.vocab_size,
    )


def test_training_twice_gives_the_same_vocabulary() -> None:
    texts = [f"{a} {b}" for a in ("red", "blue", "grey") for b in ("dog", "cat", "bird", "key")]
    first, *others = (Tokenizer.train(texts, 57).to_json() for _ in range(5))
    assert all(other == first for other in others)


def test_the_vocabulary_stays_within_its_size() -> None:
    assert Tokenizer.train(TEXTS, 40).vocab_size <= 40


def test_a_prompt_opens_with_dec_and_has_no_end(tokenizer: Tokenizer) -> None:
    prompt = tokenizer.encode_prompt("a red ")
    assert prompt[0] == tokenizer.dec
    assert tokenizer.decode([prompt[1:]]) == ["a red"]
    assert tokenizer.encode_prompt("") == [tokenizer.dec]


def test_a_foreign_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[PAD\].*\[ENC\]"):
        Tokenizer(tokenizers.Tokenizer(tokenizers.models.WordPiece({"a": 0}, unk_token="a")))


def test_questions_lose_their_marks_where_captions_part_words_at_them() -> None:
    assert clean_question("Is the U.S. flag (#1) there?") == "is the us flag 1 there?"


def test_a_tokenizer_json_of_bert_gives_the_vocabulary_and_another_kind_is_refused(
    tokenizer: Tokenizer,
) -> None:
    assert Tokenizer.bert_json(tokenizer.to_json()).pieces.get_vocab() == (
        tokenizer.pieces.get_vocab()
    )
    other = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0}, []))
    with pytest.raises(ValueError, match="is BPE, BERT's is WordPiece"):
        Tokenizer.bert_json(other.to_str())
    gappy = tokenizers.Tokenizer(tokenizers.models.WordPiece({"a": 0, "b": 5}, unk_token="a"))
    with pytest.raises(ValueError, match="the ids of its 2 pieces have gaps"):
        Tokenizer.bert_json(gappy.to_str())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_piece_that_ends_lines_elsewhere_moves_no_id(tmp_path: Path, end: str) -> None:
    pieces = ["[PAD]", "\u2028", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "dog"]
    (tmp_path / "vocab.txt").write_bytes("".join(f"{p}{end}" for p in pieces).encode())
    tokenizer = Tokenizer.bert(tmp_path / "vocab.txt")
    assert tokenizer.pieces.token_to_id("dog") == 6
    assert (tokenizer.dec, tokenizer.enc, tokenizer.vocab_size) == (7, 8, 9)


def test_berts_layout_is_told_from_one_that_was_trained(tokenizer: Tokenizer) -> None:
    unused = [f"[unused{n}]" for n in range(99)]
    pieces = ["[PAD]", *unused, "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a"]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    model = tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]")
    assert Tokenizer.bert_json(tokenizers.Tokenizer(model).to_str()).kind == "bert"
    assert tokenizer.kind == "trained"
