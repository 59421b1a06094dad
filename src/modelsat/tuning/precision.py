"""Which arithmetic tuning runs in: bf16 where the device multiplies it in hardware, fp32 elsewhere.

Half the bits are twice the speed or more, and the gradients' noise drowns the rounding. Adapters, heads and losses stay
in fp32 everywhere; only the backbone's passes are rounded.
"""

from contextlib import AbstractContextManager
from typing import Any

import torch


def bf16_device() -> str | None:
    """The device type that multiplies bf16 in hardware, "cuda" or "cpu"; None where none does."""
    if torch.cuda.is_available():
        return "cuda" if torch.cuda.is_bf16_supported() else None
    capable = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "cpu" if capable else None


def backbone_precision() -> AbstractContextManager[Any]:
    """A context in which a backbone runs in bf16 where the device has it."""
    device = bf16_device()
    return torch.autocast(device or "cpu", dtype=torch.bfloat16, enabled=device is not None)


def full_precision() -> AbstractContextManager[Any]:
    """A context in which heads and losses run in fp32, whatever is around it."""
    return torch.autocast(bf16_device() or "cpu", enabled=False)
