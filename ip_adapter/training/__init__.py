"""Training an adapter: K', V' and the projector learn, the base stays as it is (Ye et al. 2023, arXiv 2308.06721)."""
