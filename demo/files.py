"""Where the demo family's weights lie."""

from pathlib import Path

WEIGHTS = Path(__file__).resolve().parent / "weights"
