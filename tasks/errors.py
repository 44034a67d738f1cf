"""The errors a person can mend; everything else is a defect and keeps its traceback.

CapliftError
├── LakeError         the lake is missing, unwritable or lacks what a stage reads
├── InputError        what the user gave cannot be used: a table, a page, a preset, a plan
├── ModelError        a checkpoint or registered model is missing or does not fit
└── GateFailed        the numbers of a run are outside a gate's limits
"""


class CapliftError(Exception):
    """One line: what was expected, what came, what to do next. Commands print it and exit 2."""


class LakeError(CapliftError):
    """The lake is missing, cannot be written, or lacks what a stage was asked to read."""


class InputError(CapliftError):
    """What the user gave cannot be used as it is."""


class ModelError(CapliftError):
    """A checkpoint or a registered model is missing, damaged or of another shape."""


class GateFailed(CapliftError):  # noqa: N818  # what a person reads: the gate has failed
    """A number of the run is outside the limits of a gate; what comes next would build on it."""
