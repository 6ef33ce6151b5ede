"""The only door to ComfyUI: its folders, encoders, models, devices and progress, as the core needs them."""

from ..applying.plan import ApplyOptions as ApplyOptions
from .apply import apply as apply
from .apply_face import FaceOptions as FaceOptions
from .apply_face import apply_face as apply_face
from .encode import encode_prompt as encode_prompt
from .encode import reference as reference
from .files import adapter_files as adapter_files
from .files import file_stamp as file_stamp
from .files import load_adapter as load_adapter
from .files import register_folder as register_folder
from .model import sites_of as sites_of
