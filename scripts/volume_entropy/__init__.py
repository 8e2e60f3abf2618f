"""Voxel-wise uncertainty of segmentation models, over whole cohorts of volumes.

`entropy`, `uncertainty`, `cross_entropy` and `softmax` take arrays and give arrays; they are imported when first used,
so that a job that needs none pays for none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from volume_entropy.api import entropy, uncertainty
    from volume_entropy.losses import cross_entropy, softmax

__version__ = "0.1.0"

__all__ = ["cross_entropy", "entropy", "softmax", "uncertainty"]

_MODULES = {"entropy": "api", "uncertainty": "api", "cross_entropy": "losses", "softmax": "losses"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
