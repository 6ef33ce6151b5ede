"""Tensor arithmetic of the image branch: keys, values, weights and masks. It knows no model and no host."""
