"""Ten graphs on the demonstration family whose final latents tell whether a change of the code changes a picture.

Each exercises another part: projectors, masks, ranges, several adapters, one picture per latent, curves over frames,
tables over layers, scalings, faces with their LoRA, negatives, tiles, combining.
"""

from __future__ import annotations

from typing import Any

Graph = dict[str, dict[str, Any]]
Link = list[Any]
_ADAPTER, _PLUS, _FACEID = (f"demo_{name}.safetensors" for name in ("ip_adapter", "ip_adapter_plus", "faceid"))
_SIDE = 128


class Builder:
    """Nodes one after the other; each call of `node` gives its first output, which others take as an input."""

    def __init__(self, batch: int = 1) -> None:
        self.graph: Graph = {}
        self.checkpoint = self.node("CheckpointLoaderSimple", ckpt_name="demo_checkpoint.safetensors")
        self.vision = self.node("CLIPVisionLoader", clip_name="demo_clip_vision.safetensors")
        self.latent = self.node("EmptyLatentImage", width=_SIDE, height=_SIDE, batch_size=batch)

    def node(self, kind: str, **inputs: Any) -> Link:
        name = str(len(self.graph) + 1)
        self.graph[name] = {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
        return [name, 0]

    def adapter(self, file: str = _ADAPTER) -> Link:
        return self.node("LoadIPAdapter", file=file, variant="auto")

    def picture(self, file: str) -> Link:
        return self.node("LoadImage", image=file)

    def encoded(self, image: Link, **options: Any) -> Link:
        given = {"fit": "crop", "combine": "concat", "weight": 1.0} | options
        return self.node("EncodeImagePrompt", clip_vision=self.vision, image=image, **given)

    def applied(self, prompt: Link, model: Link | None = None, file: str = _ADAPTER, **options: Any) -> Link:
        given = {"weight": 1.0, "start_percent": 0.0, "end_percent": 1.0, "weight_type": "linear"} | options
        model = model or self.checkpoint
        return self.node("ApplyIPAdapter", model=model, ip_adapter=self.adapter(file), image_prompt=prompt, **given)

    def half(self) -> Link:
        """A mask of the left half."""
        nothing = self.node("SolidMask", value=0.0, width=_SIDE, height=_SIDE)
        left = self.node("SolidMask", value=1.0, width=_SIDE // 2, height=_SIDE)
        return self.node("MaskComposite", destination=nothing, source=left, x=0, y=0, operation="add")

    def batched(self, *files: str) -> Link:
        first, second = (self.picture(file) for file in files)
        return self.node("ImageBatch", image1=first, image2=second)

    def sampled(self, model: Link) -> Graph:
        """The whole graph, which saves its latents."""
        clip = [self.checkpoint[0], 1]
        positive, negative = (self.node("CLIPTextEncode", clip=clip, text=text) for text in ("a red star", ""))
        samples = self.node(
            "KSampler",
            model=model,
            seed=7,
            steps=6,
            cfg=3.0,
            sampler_name="euler",
            scheduler="normal",
            positive=positive,
            negative=negative,
            latent_image=self.latent,
            denoise=1.0,
        )
        self.node("SaveLatent", samples=samples, filename_prefix="recorded")
        return self.graph


def _plus_in_a_region() -> Graph:
    b = Builder()
    prompt = b.encoded(b.picture("reference.png"))
    return b.sampled(b.applied(prompt, file=_PLUS, mask=b.half(), start_percent=0.1, end_percent=0.7))


def _two_adapters() -> Graph:
    b = Builder()
    first = b.applied(b.encoded(b.picture("reference.png")), weight=0.6)
    return b.sampled(b.applied(b.encoded(b.picture("second.png")), first, _PLUS, weight=0.5))


def _one_per_latent() -> Graph:
    b = Builder(batch=2)
    prompt = b.encoded(b.batched("reference.png", "second.png"), combine="one per latent", weights="1, 0.6")
    return b.sampled(b.applied(prompt))


def _crossfade() -> Graph:
    b = Builder(batch=6)
    schedule = b.node("CrossfadeSchedule", pictures=2, hold=2, overlap=2, easing="ease in-out", progress="0:1.0, 1:0.5")
    return b.sampled(b.applied(b.encoded(b.batched("reference.png", "second.png")), schedule=schedule))


def _layers_turned_away() -> Graph:
    b = Builder()
    layers = b.node(
        "LayerWeights", weight_type="ease in-out", layers="in3:0.5, mid:0, out1-3:1.2", base="SDXL", model=b.checkpoint
    )
    prompt = b.encoded(b.picture("reference.png"))
    return b.sampled(b.applied(prompt, layer_weights=layers, weight_type="style transfer precise"))


def _scaled_keys() -> Graph:
    b = Builder()
    prompt = b.encoded(b.batched("reference.png", "second.png"), weights="0.8, 0.3")
    return b.sampled(b.applied(prompt, weight=0.7, embeds_scaling="K+V w/ C penalty"))


def _face() -> Graph:
    b = Builder()
    analysis = b.node("LoadFaceAnalysis", pack="demo", provider="auto")
    options = {"which": "largest", "index": 0, "size": 640, "confidence": 0.5, "missing": "error"}
    faces = b.node("AnalyzeFaces", face_analysis=analysis, image=b.picture("person.png"), **options)
    weights = {"weight": 1.0, "structure_weight": 1.0, "lora_weight": 0.8, "start_percent": 0.0, "end_percent": 1.0}
    given = {"model": b.checkpoint, "ip_adapter": b.adapter(_FACEID), "faces": faces, "clip_vision": b.vision}
    return b.sampled(b.node("ApplyFaceID", **given, **weights, weight_type="linear"))


def _negative_picture() -> Graph:
    b = Builder()
    against = b.picture("unwanted.png")
    return b.sampled(b.applied(b.encoded(b.picture("reference.png"), negative_image=against, sharpening=0.5)))


def _tiles() -> Graph:
    b = Builder()
    return b.sampled(b.applied(b.encoded(b.picture("wide.png"), fit="tiles", negative="black picture"), file=_PLUS))


def _combined_over_time() -> Graph:
    b = Builder()
    first, second = b.encoded(b.picture("reference.png")), b.encoded(b.picture("second.png"), weight=0.5)
    prompt = b.node(
        "CombineImagePrompts", image_prompt_1=first, combine="norm average", weights="1, 0.7", image_prompt_2=second
    )
    schedule = b.node("WeightSchedule", progress="0:0, 0.4:1, 1:0.3", over_frames="", frames=16, easing="ease in")
    return b.sampled(b.applied(prompt, schedule=schedule))


GRAPHS = {
    "plus in a region and a range": _plus_in_a_region,
    "two adapters": _two_adapters,
    "one picture per latent": _one_per_latent,
    "crossfade": _crossfade,
    "layer weights and guidance turned away": _layers_turned_away,
    "weights in the keys": _scaled_keys,
    "face with its LoRA": _face,
    "negative picture": _negative_picture,
    "tiles": _tiles,
    "combined prompts over time": _combined_over_time,
}
