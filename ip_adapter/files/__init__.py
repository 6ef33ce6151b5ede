"""Containers of tensors on the disk, read lazily and without executing anything."""
