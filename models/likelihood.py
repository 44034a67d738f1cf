"""How likely the decoder finds texts that are written already.

B images, N = B * G texts (G for each image), L tokens. Given an image this is what captioning
reports for its own texts; given one that shows nothing it stands for log p(text), and the
difference is the language model's own estimate of the pointwise mutual information (Lin et al.
2024, arXiv 2306.01879: p(text) from images without content).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from models.blip import Blip
from models.captioner import token_log_probabilities
from models.decoding import Spelling
from models.matcher import MAX_LENGTH
from models.tokenization import Tokenizer


@torch.no_grad()
def text_log_probabilities(
    model: Blip,
    tokenizer: Tokenizer,
    images: Tensor,
    texts: Sequence[str],
    *,
    prompt: str = "",
    max_length: int = MAX_LENGTH,
) -> Tensor:
    """Return natural logs of the probabilities of texts, [SEP] included, double (N,).

    Args:
        model: left in the mode it was in.
        tokenizer: the model's.
        images: normalised pixels (B, 3, S, S).
        texts: N texts without the prompt, those of one image in a row.
        prompt: what the decoder was given to continue; its tokens are not counted.
        max_length: most tokens of a text, without the prompt.

    Raises:
        ValueError: the texts cannot be shared out evenly among the images.
    """
    if not len(images) or len(texts) % len(images):
        raise ValueError(f"{len(texts)} texts cannot belong evenly to {len(images)} images")
    opening = tokenizer.encode_prompt(prompt)
    bodies = tokenizer.encode(texts, max_length, "dec")[0][:, 1:]
    ids = torch.cat([torch.tensor(opening).expand(len(texts), -1), bodies], dim=1)
    spelling = Spelling(tuple(opening), tokenizer.sep, tokenizer.pad)
    was_training = model.training
    model.eval()
    try:
        keys = model.project_image(model.encode_image(images))
        scores = token_log_probabilities(model, keys, ids.to(model.device), spelling)
    finally:
        model.train(was_training)
    return scores.double().sum(dim=1).cpu()
