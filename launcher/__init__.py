"""Everything behind `run.py`: standard library only, so that it runs on a bare Python 3.10 or newer."""
