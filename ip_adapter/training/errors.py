"""What can stop a training, beside a wrong setting."""

from ..errors import AdapterError


class TrainingError(AdapterError):
    """The training cannot start or go on; the message says what is kept and how to continue."""
