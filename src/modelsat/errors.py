"""What can go wrong, in words a user can act on.

Every message says where (file, line, field), what was found, and the mend. The command line prints the message alone
and exits non-zero; library callers may catch `ModelSatError` for all of them.
"""

from modelsat.redaction import redact


class ModelSatError(Exception):
    """Base of every error that Model-SAT raises on purpose; its text never contains a secret that was noted."""

    def __str__(self) -> str:
        return redact(super().__str__())

    def __repr__(self) -> str:
        return redact(super().__repr__())


class DataError(ModelSatError):
    """An input (file, row, value) is not what its schema says."""


class PolicyError(ModelSatError):
    """A routing policy is malformed, or cannot be applied to this zoo."""


class CheckpointError(ModelSatError):
    """A checkpoint is damaged, of another format, or belongs to other weights."""


class LayoutError(ModelSatError):
    """A combination of layout, encoder and head that does not exist."""


class MissingExtraError(ModelSatError):
    """An optional part is not installed."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the extra '{extra}': install it with  pip install 'modelsat[{extra}]'"
        )
        self.extra = extra


class EndpointError(ModelSatError):
    """A candidate's endpoint refuses what it is asked, or does not answer."""
