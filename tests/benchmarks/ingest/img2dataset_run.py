"""Run img2dataset; this file runs under its interpreter, not ours, and imports nothing of ours.

Each setting is the default or the one that measured best on two cores: 16, 32 and 64 threads
differ by less than the noise.
"""

import json
import sys

import img2dataset  # type: ignore[import-not-found]  # it lives in an environment of its own

if __name__ == "__main__":  # its processes are spawned, and import this file again
    img2dataset.download(
        input_format="parquet",
        url_col="url",
        caption_col="caption",
        output_format="webdataset",
        thread_count=32,
        enable_wandb=False,
        **json.loads(sys.argv[1]),
    )
