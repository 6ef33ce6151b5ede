"""Training of the demo weights; run through `run.py dev demo-weights`, never inside a user's ComfyUI."""
