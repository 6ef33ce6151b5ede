"""What adapters are for: base models, image encoders, and where a live model has cross-attention."""
