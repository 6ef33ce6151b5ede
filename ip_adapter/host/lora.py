"""The LoRA inside a FaceID file, as the host's own weight patches."""

import logging

import comfy.lora

from ..applying.plan import Plan
from ..faces.lora import lora_pairs
from .model import HostModel

log = logging.getLogger(__name__)
_ATTACHMENT = "ip_adapter_nodes_lora:"  # notes on a model which adapters' LoRAs it carries


def add_lora(clone: HostModel, plan: Plan) -> None:
    """Once per file: two people by the same adapter share one LoRA."""
    adapter, weight = plan.adapter, plan.lora_weight
    name, mark = adapter.source.name, f"{_ATTACHMENT}{adapter.source.name}"
    if not weight:
        return
    if adapter.spec.lora_rank is None:
        if adapter.spec.published.has_lora:
            log.warning("%s holds no LoRA; load the one published with it by Load LoRA for a better likeness", name)
        return
    if clone.get_attachment(mark) is not None:
        log.info("The LoRA of %s is in the model already and is not added again", name)
        return
    pairs = list(lora_pairs(adapter, plan.sites))
    matrices = {f"{pair.module}.lora_down.weight": pair.down for pair in pairs}
    matrices |= {f"{pair.module}.lora_up.weight": pair.up for pair in pairs}
    targets = {pair.module: f"diffusion_model.{pair.module}.weight" for pair in pairs}
    added = clone.add_patches(comfy.lora.load_lora(matrices, targets), weight)
    log.info("LoRA of %s added to %d weights", name, len(added))
    clone.set_attachments(mark, weight)
