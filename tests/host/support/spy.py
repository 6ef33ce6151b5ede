"""What really passes through the patched cross-attentions during a run of the host."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .calls import Call, patches_of


@dataclass
class Spy:
    """Calls of every patch of a model and what they gave, by block."""

    calls: list[tuple[tuple[Any, ...], Call, Tensor]] = field(default_factory=list)
    areas: dict[Any, tuple[int, ...]] = field(default_factory=dict)  # of the conditionings that have one, by uuid
    texts: list[tuple[int, Tensor]] = field(default_factory=list)  # of each evaluation, before which call it came

    def on(self, model: Any) -> Any:
        """A clone of the model that tells this spy."""
        clone = model.clone()
        for block, patch in patches_of(clone).items():
            clone.set_model_attn2_replace(self._listening(block, patch), *block)
        clone.add_wrapper_with_key("calc_cond_batch", "spy", self._note_areas)
        clone.add_wrapper_with_key("apply_model", "spy", self._note_texts)
        return clone

    def _listening(self, block: tuple[Any, ...], patch: Any) -> Any:
        def listen(query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
            out = patch(query, key, value, options)
            self.calls.append((block, Call(query, key, value, options), out))
            return out

        return listen

    def _note_areas(self, executor: Any, model: Any, conds: Any, *arguments: Any) -> Any:
        self.areas |= {cond["uuid"]: cond["area"] for side in conds if side for cond in side if cond.get("area")}
        return executor(model, conds, *arguments)

    def _note_texts(self, executor: Any, *given: Any, **named: Any) -> Any:
        self.texts.append((len(self.calls), given[3]))  # after the latents, the noise level and what is concatenated
        return executor(*given, **named)

    def text_of(self, number: int) -> Tensor:
        """The text of every row of a call, (rows, tokens, width)."""
        return next(context for first, context in reversed(self.texts) if first <= number)
