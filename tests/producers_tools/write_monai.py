"""Run by the interpreter that has MONAI: its LoadImage and SaveImage on the posteriors of a phantom.

    python write_monai.py FOLDER CHANNELS

CHANNELS is 1 (the foreground of a sigmoid) or 4 (a softmax with its background).
"""

import sys
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Activations, Compose, EnsureChannelFirst, LoadImage, SaveImage
from phantom import AFFINE, phantom


def main(folder: Path, channels: int) -> None:
    folder.mkdir(parents=True)
    nibabel.save(nibabel.Nifti1Image(phantom()[0], AFFINE), folder / "sub-01_T1w.nii.gz")
    image = Compose([LoadImage(image_only=True), EnsureChannelFirst()])(folder / "sub-01_T1w.nii.gz")
    means = torch.tensor([0.0, 300.0, 600.0, 900.0])[:channels].reshape(-1, 1, 1, 1)
    logits = (image.as_tensor() - 450) / 90 if channels == 1 else -(((image.as_tensor() - means) / 90) ** 2) / 2
    values = Activations(sigmoid=channels == 1, softmax=channels > 1)(MetaTensor(logits, meta=image.meta))
    SaveImage(output_dir=folder / "output", print_log=False)(values)
    np.save(folder / "given.npy", values.numpy())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
