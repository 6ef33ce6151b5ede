"""Where the demo family's weights lie."""

from pathlib import Path

WEIGHTS = Path(__file__).resolve().parent / "weights"
FACE_PACK = Path("insightface", "models", "demo")  # below it, as insightface lays packs out
