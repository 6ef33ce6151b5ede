"""Patches and wrappers of the host's model: what an application adds to a clone."""

from collections.abc import Callable, Mapping
from typing import Any

import comfy.patcher_extension
from comfy.ldm.modules import attention as host_attention
from torch import Tensor

from ..applying.application import Application
from ..bases.backbone import Site
from .evaluator import Evaluator
from .foreign import Table, resolve_patch
from .model import HostModel
from .patches import OPTION, Attention, Options, SiteBranch, SitePatch, own_patches
from .rows import note_conditionings, note_guider


def install(model: HostModel, application: Application, branches: Mapping[Site, SiteBranch]) -> None:
    """Adds the branches of an application on top of whatever stands at their sites; the model is a clone of our own."""
    earlier = _evaluator(model)
    table = _table(model)
    for site, branch in branches.items():
        present = resolve_patch(table, site.block, earlier.patches.get(site.block))
        model.set_model_attn2_replace(_stack_on(present or text_attention, branch), *site.block)
    table = _table(model)
    patches = {**earlier.patches, **{site.block: table[site.block] for site in branches}}
    _wrap(model, Evaluator([*earlier.applications, application], patches))


def _stack_on(present: Attention, branch: SiteBranch) -> SitePatch:
    """A patch on top of another adapter of ours, a function of another pack, or the text attention."""
    if isinstance(present, SitePatch):
        return SitePatch(present.base, (*present.branches, branch), present.added)
    return SitePatch(present, (branch,))


def _table(model: HostModel) -> Table:
    return model.model_options.get("transformer_options", {}).get("patches_replace", {}).get("attn2", {})


def _evaluator(model: HostModel) -> Evaluator:
    """That which a clone has inherited, or one of nothing."""
    inherited = model.get_wrappers(comfy.patcher_extension.WrappersMP.APPLY_MODEL, OPTION)
    return next((wrapper for wrapper in inherited if isinstance(wrapper, Evaluator)), Evaluator([]))


def _wrap(model: HostModel, evaluator: Evaluator) -> None:
    """One evaluator for all applications: the clone's own replaces the one it inherited."""
    kinds, callbacks = comfy.patcher_extension.WrappersMP, comfy.patcher_extension.CallbacksMP
    wrappers: dict[str, Callable[..., Any]] = {
        kinds.OUTER_SAMPLE: evaluator.check_batch,
        kinds.PREDICT_NOISE: note_guider,
        kinds.CALC_COND_BATCH: note_conditionings,
        kinds.APPLY_MODEL: evaluator,
    }
    for kind, wrapper in wrappers.items():
        model.remove_wrappers_with_key(kind, OPTION)
        model.add_wrapper_with_key(kind, OPTION, wrapper)
    model.remove_callbacks_with_key(callbacks.ON_CLONE, OPTION)
    model.add_callback_with_key(callbacks.ON_CLONE, OPTION, _own)


def _own(origin: HostModel, clone: HostModel) -> None:
    own_patches(_table(clone))


def text_attention(query: Tensor, key: Tensor, value: Tensor, options: Options) -> Tensor:
    """The attention the host itself would have run here, through whichever backend the user has chosen."""
    return host_attention.optimized_attention(
        query,
        key,
        value,
        options["n_heads"],
        attn_precision=options.get("attn_precision"),
        transformer_options=options,
    )
