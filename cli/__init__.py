"""What `run.py` runs at a terminal: models, train, evaluate. Arguments in, exit status and printed lines out."""
