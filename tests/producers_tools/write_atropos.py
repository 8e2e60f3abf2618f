"""Run by the interpreter that has ANTs: Atropos on a phantom, with the file names of antsAtroposN4.sh.

    python write_atropos.py FOLDER NUMBER

NUMBER is how priors and posteriors are numbered: `%d`, or `%02d` as nipype has it.
"""

import sys
from pathlib import Path

from ants.internal import get_lib_fn
from phantom import save_image_and_mask


def main(folder: Path, number: str) -> None:
    image, mask = save_image_and_mask(folder, "sub-01_BrainSegmentation0N4.nii.gz", "sub-01_BrainExtractionMask.nii.gz")
    stem = folder / "sub-01_BrainSegmentation"
    options = {"-d": "3", "-a": str(image), "-x": str(mask), "-i": "kmeans[3]", "-m": "[0.1,1x1x1]", "-c": "[5,0]"}
    options["-o"] = f"[{stem}.nii.gz,{stem}Posteriors{number}.nii.gz]"
    code = get_lib_fn("Atropos")([part for pair in options.items() for part in pair])
    sys.exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
