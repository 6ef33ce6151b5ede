"""How keys and values of an adapter enter the attention of a model: sites, patches, rows and masks."""
