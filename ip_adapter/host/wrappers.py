"""Patches and wrappers of the host's model: what an application adds to a clone."""

from collections.abc import Callable
from typing import Any

import comfy.patcher_extension

from ..patching.conditionings import note_conditionings, note_guider
from ..patching.evaluator import Evaluator
from ..patching.injection import OPTION, Application, Attention, SiteBranch, SitePatch, own_patches
from ..patching.restored import Table, standing
from ..patching.sites import Site


def put(model: Any, application: Application, branches: dict[Site, SiteBranch], text_attention: Attention) -> None:
    """Adds the branches of an application on top of whatever stands at their sites; the model is a clone of our own."""
    earlier = _evaluator(model)
    table = _table(model)
    for site, branch in branches.items():
        present = standing(table, site.block, earlier.patches.get(site.block))
        model.set_model_attn2_replace(_stacked(present or text_attention, branch), *site.block)
    table = _table(model)
    patches = {**earlier.patches, **{site.block: table[site.block] for site in branches}}
    _wrap(model, Evaluator([*earlier.applications, application], patches))


def _stacked(present: Attention, branch: SiteBranch) -> SitePatch:
    """A patch on top of another adapter of ours, a function of another pack, or the text attention."""
    if isinstance(present, SitePatch):
        return SitePatch(present.base, (*present.branches, branch), present.added)
    return SitePatch(present, (branch,))


def _table(model: Any) -> Table:
    return model.model_options.get("transformer_options", {}).get("patches_replace", {}).get("attn2", {})


def _evaluator(model: Any) -> Evaluator:
    """That which a clone has inherited, or one of nothing."""
    inherited = model.get_wrappers(comfy.patcher_extension.WrappersMP.APPLY_MODEL, OPTION)
    return next((wrapper for wrapper in inherited if isinstance(wrapper, Evaluator)), Evaluator([]))


def _wrap(model: Any, evaluator: Evaluator) -> None:
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


def _own(origin: Any, clone: Any) -> None:
    own_patches(_table(clone))
