"""The network: capability encoder, connector, backbone, and the three scoring layouts.

Torch and transformers are imported here and in `modelsat.tuning` only.
"""
