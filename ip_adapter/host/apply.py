"""An adapter and a prompt into a clone of the host's model: plan, compute, install."""

import logging

from ..adapter import Adapter
from ..applying.plan import ApplyOptions, plan_application
from ..prompts.projector_inputs import Prompt
from .compute import branches, compute_dtype, compute_target
from .feedback import Progress
from .install import install
from .lora import add_lora
from .model import HostModel, facts_of

log = logging.getLogger(__name__)


def apply(
    model: HostModel, adapter: Adapter, prompt: Prompt, options: ApplyOptions, lora_weight: float = 0.0
) -> HostModel:
    """A clone of the model whose cross-attentions also attend to the prompt; the incoming model is left as it is.

    `lora_weight` is the strength of the LoRA inside the adapter's file. Raises what `plan_application` raises, and
    AdapterFileError for a damaged file, all before any sampling.
    """
    plan = plan_application(facts_of(model), adapter, prompt, options, lora_weight)
    clone = model.clone()
    if not plan.parts:
        log.info("%s has no effect with these settings: the model is left unpatched", adapter.source.name)
        return clone
    progress, target, dtype = (
        Progress(len(plan.targets) * len(plan.parts)),
        compute_target(model, adapter),
        compute_dtype(model),
    )
    for part in plan.parts:
        install(clone, part.application, branches(plan, part, target, dtype, progress))
    add_lora(clone, plan)
    log.info("%s applied at %d of %d cross-attentions", adapter.source.name, plan.acting, len(plan.targets))
    return clone
