"""Faces: finding, cutting out, recognising and keeping them, and what FaceID adapters read of them."""
