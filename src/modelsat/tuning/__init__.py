"""Capability instruction tuning: samples, losses, the two stages, calibration."""
