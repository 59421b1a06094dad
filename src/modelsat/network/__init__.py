"""The networks in torch: backbone, text encoder, exam attention, students, adapters and the paper's layouts."""

import os

# Before any module here imports transformers, and with it the hub's client.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
