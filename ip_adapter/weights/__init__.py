"""How strongly an adapter acts: over the layers of a UNet, over sampling, over frames, and the pictures of it."""
