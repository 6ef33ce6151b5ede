"""Published files and the user's own: catalogue, download, inventory, conversion, model folders."""
