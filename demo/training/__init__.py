"""Training of the demo weights; run through `run.py demo-weights`, never inside a user's ComfyUI."""
