"""The types on our wires, one name each; host types are used everywhere else."""

from comfy_api.latest import io

IPAdapter = io.Custom("IP_ADAPTER")
ImagePrompt = io.Custom("IMAGE_PROMPT")
LayerWeights = io.Custom("LAYER_WEIGHTS")
WeightSchedule = io.Custom("WEIGHT_SCHEDULE")
FaceAnalysis = io.Custom("FACE_ANALYSIS")
Faces = io.Custom("FACES")
TrainingPictures = io.Custom("TRAINING_PICTURES")
AttentionRecord = io.Custom("ATTENTION_RECORD")
WeightSweep = io.Custom("WEIGHT_SWEEP")
WeightType = io.Custom("COMBO")  # what the host calls a choice; as an output, its own class has another type

CATEGORY = "IP-Adapter"
TRAINING = f"{CATEGORY}/training"
