"""A record of attention into a clone of the host's model."""

from typing import Any

import comfy.patcher_extension

from ..patching.injection import RECORDERS
from ..seeing.record import AttentionRecord
from .layers import sites_of


def record_attention(model: Any, parts: int) -> tuple[Any, AttentionRecord]:
    """A clone of the model whose runs are noted in the record, whatever adapters come before it or after it.

    Raises SettingError for a number of parts that is none, WrongBaseError for a model without cross-attention.
    """
    record, clone = AttentionRecord(sites_of(model), parts), model.clone()
    kinds = comfy.patcher_extension.WrappersMP
    clone.add_wrapper_with_key(kinds.OUTER_SAMPLE, RECORDERS, record.around_run)
    clone.add_wrapper_with_key(kinds.APPLY_MODEL, RECORDERS, record.around_call)
    return clone, record
