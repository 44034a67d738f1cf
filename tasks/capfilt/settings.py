"""How a CapFilt job is done, and the names of what it writes.

What decides the results (decoding, seeds, models, precision) names the runs; what only decides how
fast they come (batch size, threads, where pictures are resized) does not, so a job that is taken up
on another machine goes on with the same runs.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from models.decoding import Decoding
from models.matcher import MAX_LENGTH
from tasks.bounds import at_least, one_of
from tasks.errors import InputError

CAPTIONING = "captioning"
SCORING = "scoring"
INGESTED = "ingestion"  # the run whose captions are the web's and the humans' own texts

DTYPES = ("auto", "float32", "bfloat16", "float16")
RESIZES = ("auto", "host", "device")


@dataclass(frozen=True, kw_only=True, slots=True)
class CapFilt:
    """How captions are written and texts scored.

    Attributes:
        captions_per_image: written for each picture, every one from its own seed.
        decoding: how; the default is the paper's nucleus sampling.
        batch_size: pictures on the device at once; has no influence on what is written. Give a
            large GPU 256 or more, so that it does not wait for launches; what does not fit is
            halved.
        seed: another one gives other captions.
        max_length: most tokens of a text that is scored.
        dtype: what the device computes in: "float32", "bfloat16", "float16", or "auto", which is
            bfloat16 on a GPU and float32 on a CPU.
        resize: where pictures become squares: in the decoding threads ("host"), on the "device",
            or "auto", which is the device where that is a GPU. The squares are the same but for
            one level of 255 here and there.
        compiled: let torch compile the image encoders, which fuses what lies between their matrix
            products; it takes a minute or more before the first batch.
        decoders: threads that decode pictures; 0 is one for each core this process may use.
        canary: a table of pictures with right and wrong texts that the filter judges too, as
            `tasks.canary.pairs` describes it; empty is the shipped one.
    """

    captions_per_image: int = 1
    decoding: Decoding = field(default_factory=Decoding)
    batch_size: int = 64
    seed: int = 0
    max_length: int = MAX_LENGTH
    dtype: str = "auto"
    resize: str = "auto"
    compiled: bool = False
    decoders: int = 0
    canary: str = ""

    def __post_init__(self) -> None:
        at_least(1, self, "captions_per_image", "batch_size")
        at_least(3, self, "max_length")
        at_least(0, self, "decoders")
        one_of(self, dtype=DTYPES, resize=RESIZES)
        if self.captions_per_image > 1 and self.decoding.method != "nucleus":
            raise InputError(
                f"{self.decoding.method} search finds one caption a picture, not "
                f"{self.captions_per_image}; take method nucleus, or captions_per_image 1"
            )

    def written_by(self) -> dict[str, Any]:
        """Return the settings that decide what is written."""
        return {
            "captions_per_image": self.captions_per_image,
            "decoding": asdict(self.decoding),
            "seed": self.seed,
            **self._computed(),
        }

    def judged_by(self) -> dict[str, Any]:
        """Return the settings that decide what a text scores."""
        return {"max_length": self.max_length, **self._computed()}

    def _computed(self) -> dict[str, Any]:
        # Other kernels round otherwise: by more than another batch size does.
        return {"dtype": self.dtype, "compiled": self.compiled}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is written and judged: by which models, under which names.

    Attributes:
        captioner: address of the model that writes; empty when nothing is to be written.
        judge: address of the filter; empty when nothing is to be judged.
        captions: run that holds what is written.
        scores: run that holds the scores.
        texts: runs whose texts are judged too; "ingestion" for the web's and the humans'.
        how: settings.
        sets_aside: whether a shard that cannot be read goes into quarantine; else it ends the job.
    """

    captioner: str = ""
    judge: str = ""
    captions: str = ""
    scores: str = ""
    texts: tuple[str, ...] = (INGESTED,)
    how: CapFilt = field(default_factory=CapFilt)
    sets_aside: bool = True
