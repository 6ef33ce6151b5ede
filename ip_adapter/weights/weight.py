"""The range of a weight."""

from ..errors import SettingError

MAX_WEIGHT = 10.0


def check_weight(weight: float) -> None:
    """Raises SettingError for a weight that is NaN or out of range."""
    if not abs(weight) <= MAX_WEIGHT:
        raise SettingError(f"Expected a weight from {-MAX_WEIGHT} to {MAX_WEIGHT}, got {weight}.")
