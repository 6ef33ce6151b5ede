"""The demo text encoder: the host's CLIP text classes, at a small width and with a vocabulary of two dozen words."""

from __future__ import annotations

from typing import Any

import comfy.clip_model
from comfy import sd1_clip

from . import vocabulary

NAME = "demo"
WIDTH = 128
CONFIG: dict[str, Any] = {
    "num_hidden_layers": 2,
    "hidden_size": WIDTH,
    "num_attention_heads": 4,
    "intermediate_size": 4 * WIDTH,
    "hidden_act": "gelu",
    "max_position_embeddings": vocabulary.MAX_LENGTH,
    "eos_token_id": vocabulary.END,
}


class DemoTextModel(comfy.clip_model.CLIPTextModel):
    def __init__(self, config: dict[str, Any], dtype: Any, device: Any, operations: Any) -> None:
        super().__init__(config, dtype, device, operations)
        # The host's class has no setting for the size of the vocabulary.
        words = len(vocabulary.WORDS)
        self.set_input_embeddings(operations.Embedding(words, config["hidden_size"], dtype=dtype, device=device))


class _Encoder(sd1_clip.SDClipModel):
    def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: dict[str, Any] | None = None) -> None:
        super().__init__(
            device=device,
            dtype=dtype,
            max_length=vocabulary.MAX_LENGTH,
            textmodel_json_config=dict(CONFIG),
            model_class=DemoTextModel,
            special_tokens={"start": vocabulary.START, "end": vocabulary.END, "pad": vocabulary.END},
            return_projected_pooled=False,
            model_options=model_options or {},
        )


class DemoClipModel(sd1_clip.SD1ClipModel):
    def __init__(self, device: Any = "cpu", dtype: Any = None, model_options: dict[str, Any] | None = None) -> None:
        options = model_options or {}
        super().__init__(device=device, dtype=dtype, model_options=options, clip_name=NAME, clip_model=_Encoder)


class _Tokenizer(sd1_clip.SDTokenizer):
    def __init__(self, embedding_directory: Any = None, tokenizer_data: dict[str, Any] | None = None) -> None:
        super().__init__(
            tokenizer_path="",
            max_length=vocabulary.MAX_LENGTH,
            embedding_directory=embedding_directory,
            embedding_size=WIDTH,
            embedding_key=f"clip_{NAME}",
            tokenizer_class=vocabulary.WordTokenizer,
            tokenizer_data=tokenizer_data or {},
        )


class DemoTokenizer(sd1_clip.SD1Tokenizer):
    def __init__(self, embedding_directory: Any = None, tokenizer_data: dict[str, Any] | None = None) -> None:
        data = tokenizer_data or {}
        super().__init__(embedding_directory, tokenizer_data=data, clip_name=NAME, tokenizer=_Tokenizer)
