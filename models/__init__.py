"""The networks of the published adapters, one file each, under the parameter names of the published files."""

from torch import nn

from .face import FACE
from .face_perceiver import FACE_PERCEIVER
from .face_resampler import FACE_RESAMPLER
from .facts import Kind, Network, ProjectorConfig, PublishedKind
from .linear import LINEAR
from .mlp import MLP
from .resampler import RESAMPLER

# The most specific first: a file is of the first network that recognises its shapes.
NETWORKS: tuple[Network, ...] = (FACE_PERCEIVER, FACE_RESAMPLER, RESAMPLER, MLP, FACE, LINEAR)
KINDS: tuple[PublishedKind, ...] = tuple(kind for network in NETWORKS for kind in network.kinds)
TRAINABLE: tuple[Kind, ...] = tuple(kind for kind in Kind if any(one.kind is kind and one.training for one in KINDS))


def build_projector(config: ProjectorConfig) -> nn.Module:
    """The network of these sizes, with parameters as the current default device makes them."""
    return next(network for network in NETWORKS if isinstance(config, network.config)).module(config)


def trainable(kind: Kind) -> PublishedKind:
    """What is known of a kind of TRAINABLE, for the bases that give their own sizes."""
    return next(one for one in KINDS if one.kind is kind and one.training is not None)
