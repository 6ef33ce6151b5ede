"""The only door to ComfyUI: its folders, encoders, models, devices and progress, as the core needs them."""

from .apply import Settings as Settings
from .apply import apply as apply
from .apply_face import FaceSettings as FaceSettings
from .apply_face import apply_face as apply_face
from .encode import EncodeChoice as EncodeChoice
from .encode import encode_prompt as encode_prompt
from .files import adapter_files as adapter_files
from .files import file_stamp as file_stamp
from .files import load_adapter as load_adapter
from .files import register_folder as register_folder
from .layers import sites_of as sites_of
