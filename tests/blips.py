"""Small BLIPs of transformers with random weights, and what they are asked."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BlipConfig, BlipForConditionalGeneration

from models.blip import Blip
from models.captioner import write
from models.decoding import Decoding, Spelling
from models.presets import Shape, TextShape, VisionShape
from models.tokenization import Tokenizer

WORDS = [f"w{number}" for number in range(31)]
DEC, SEP, PAD, VOCABULARY = 40, 3, 0, 43


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of one half: width, depth, heads, mlp, then positions or image side and patch, and eps."""

    width: int
    depth: int
    heads: int
    mlp: int
    extent: int
    patch: int = 0
    eps: float = 1e-12


# Neither widths nor heads nor sides agree, but where a question's class needs equal widths.
UNLIKE = {
    "wider text": (Sizes(30, 2, 3, 44, 37), Sizes(28, 3, 2, 52, 24, 8, 1e-5)),
    "wider image": (Sizes(20, 3, 5, 28, 29, eps=1e-6), Sizes(33, 1, 3, 26, 20, 4, 1e-6)),
    "one head": (Sizes(14, 1, 1, 19, 23), Sizes(22, 2, 1, 34, 21, 7, 1e-12)),
}
EQUAL = {
    "three heads": (Sizes(30, 2, 3, 44, 37), Sizes(30, 3, 2, 52, 24, 8, 1e-5)),
    "five heads": (Sizes(20, 3, 5, 28, 29), Sizes(20, 1, 4, 26, 20, 4, 1e-6)),
}


def hf_config(sizes: tuple[Sizes, Sizes], **kwargs: Any) -> Any:
    text, vision = sizes
    return BlipConfig(
        text_config={
            **_stack(text),
            "vocab_size": VOCABULARY,
            "max_position_embeddings": text.extent,
            "bos_token_id": DEC,
            # The published configs say 2 here and mean [SEP], which `sep_token_id` names.
            "eos_token_id": 2,
            "sep_token_id": SEP,
            "pad_token_id": PAD,
        },
        vision_config={**_stack(vision), "image_size": vision.extent, "patch_size": vision.patch},
        image_text_hidden_size=17,
        **kwargs,
    )


def _stack(sizes: Sizes) -> dict[str, Any]:
    return {
        "hidden_size": sizes.width,
        "num_hidden_layers": sizes.depth,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.mlp,
        "layer_norm_eps": sizes.eps,
    }


def our_shape(sizes: tuple[Sizes, Sizes]) -> Shape:
    text, vision = sizes
    return Shape(
        vision=VisionShape(
            image_size=vision.extent,
            patch=vision.patch,
            width=vision.width,
            depth=vision.depth,
            heads=vision.heads,
            mlp=vision.mlp,
            norm_eps=vision.eps,
        ),
        text=TextShape(
            width=text.width,
            depth=text.depth,
            heads=text.heads,
            mlp=text.mlp,
            positions=text.extent,
            norm_eps=text.eps,
            dropout=0.1,
        ),
        embedding=13,
    )


def drawn_afresh(model: nn.Module) -> Any:
    """Give every weight a spread: transformers draws vision weights with deviation 1e-10."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim:
                scales = parameter.ndim == 1 and name.endswith("weight")  # of a norm
                parameter.normal_(float(scales), 0.3, generator=generator)
    return model.eval()


def ours_of(sizes: tuple[Sizes, Sizes]) -> tuple[Blip, Tokenizer]:
    tokenizer = Tokenizer.train(WORDS * 3, 60)
    model: Blip = drawn_afresh(Blip(our_shape(sizes), tokenizer.vocab_size))
    model.temperature.data.fill_(0.031)
    return model, tokenizer


def pixels(count: int, sizes: tuple[Sizes, Sizes]) -> Tensor:
    side, generator = sizes[1].extent, torch.Generator().manual_seed(7)
    return torch.randn(count, 3, side, side, generator=generator)


def texts() -> tuple[Tensor, Tensor]:
    """Five texts of 11, 7, 5, 3 and 2 tokens, padded on the right."""
    ids = torch.randint(5, VOCABULARY, (5, 11), generator=torch.Generator().manual_seed(11))
    lengths = torch.tensor([11, 7, 5, 3, 2])
    mask = torch.arange(11) < lengths[:, None]
    return ids.masked_fill(~mask, PAD), mask


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    """Hold fp32 logits to 1e-5."""
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def captioner_of(sizes: tuple[Sizes, Sizes]) -> Any:
    return drawn_afresh(BlipForConditionalGeneration(hf_config(sizes)))


def written(
    ours: Blip, spelling: Spelling, decoding: Decoding, sizes: tuple[Sizes, Sizes]
) -> list[list[int]]:
    with torch.no_grad():
        keys = ours.project_image(ours.encode_image(pixels(5, sizes)))
        return write(ours, keys, spelling, decoding, torch.zeros(5, dtype=torch.int64)).tolist()


def told(
    theirs: Any, prompt: tuple[int, ...], sizes: tuple[Sizes, Sizes], **how: Any
) -> list[list[int]]:
    """Let transformers write; it drops the last id of its prompt, which a processor makes [SEP]."""
    ids = torch.tensor([[*prompt, SEP]]).expand(5, -1).clone()
    rows: list[list[int]] = theirs.generate(
        pixels(5, sizes), input_ids=ids, do_sample=False, **how
    ).tolist()
    return rows


def unpadded(rows: list[list[int]]) -> list[list[int]]:
    """Cut each text after its end: beams of transformers fill up with [SEP] when [PAD] is 0."""
    return [row[: row.index(SEP) + 1] if SEP in row else row for row in rows]
