"""The networks in torch: backbone, text encoder, exam attention, students, adapters and the paper's layouts."""

from modelsat.environment import disable_telemetry

# Before any module here imports transformers, and with it the hub's client.
disable_telemetry()
