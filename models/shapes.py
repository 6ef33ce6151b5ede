"""Shapes in signatures: `Float[Tensor, "batch tokens width"]`.

With jaxtyping installed (the development environment) the annotations are real types that the tests check; without it
they are plain tensors. The vocabulary: batch, pictures, tokens, queries, heads, width, height.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Annotated as Float  # how a type checker reads jaxtyping's annotations
else:
    try:
        from jaxtyping import Float
    except ImportError:

        class Float:
            def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
                return item[0]


__all__ = ["Float"]
