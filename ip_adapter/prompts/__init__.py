"""What a picture says: preprocessing, encoding, combining and keeping of image prompts. It knows no adapter."""
