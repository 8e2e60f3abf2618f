"""Voxel-wise uncertainty of segmentation models, over whole cohorts of volumes.

`entropy` and `uncertainty` take arrays and give arrays; they are imported when first used, so that a job that needs
neither pays for neither.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from volume_entropy.api import entropy, uncertainty

__version__ = "0.1.0"

__all__ = ["entropy", "uncertainty"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from volume_entropy import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
