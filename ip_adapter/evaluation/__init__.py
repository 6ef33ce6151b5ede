"""How much pictures follow the references and captions they were made from."""
