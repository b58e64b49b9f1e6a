"""Exceptions of the package."""


class ResidualError(Exception):
    """Base of all exceptions of this package. The text says what is wrong, where, and ``help:`` what to do."""


class InputError(ResidualError, ValueError):
    """An argument of a value that is not possible: an unknown field, an array of another shape, an unknown layer."""


class ModelError(ResidualError):
    """Weights that cannot be opened, or a network that cannot be built or compiled."""


class ImageError(ResidualError):
    """An image that cannot be read, decoded or answered about."""


class TrainingError(ResidualError):
    """A training or a study that cannot begin, or cannot go on."""
