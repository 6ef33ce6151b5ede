"""What the adapter costs, measured inside a real host; run through `run.py bench`."""
