"""The narrow autoencoder in the host's class against the narrow net itself."""

import os

import pytest
import torch

pytestmark = pytest.mark.skipif("IP_ADAPTER_NODES_HOST" not in os.environ, reason="needs the host")


def test_padding_changes_no_number():
    from comfy.taesd.taesd import TAESD
    from ip_adapter_nodes.demo.training.autoencoder import Autoencoder, from_stock, stock_state_dict
    from ip_adapter_nodes.demo.vae import padded

    torch.manual_seed(0)
    model = Autoencoder()
    for parameter in model.parameters():  # the blocks' last matrices start at zero
        torch.nn.init.normal_(parameter, std=0.05)
    published = {name: tensor.half().float() for name, tensor in stock_state_dict(model).items()}
    narrow, host = from_stock(published), TAESD()
    host.load_state_dict(padded(published))
    pictures, latents = torch.rand(2, 3, 64, 64), torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        assert narrow.encode(pictures).std() > 1e-3
        torch.testing.assert_close(host.taesd_encoder(pictures), narrow.encode(pictures), rtol=0, atol=1e-6)
        torch.testing.assert_close(host.taesd_decoder(latents), narrow.decode(latents), rtol=0, atol=1e-6)
