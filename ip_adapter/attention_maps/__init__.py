"""What an adapter does, made visible: maps of its attention, and grids of pictures over its settings."""
