"""Run by the interpreter that has DIPY: `dipy_classify_tissue --method hmrf` on a phantom.

python write_dipy.py FOLDER
"""

import sys
from pathlib import Path

from dipy.workflows.flow_runner import run_flow
from dipy.workflows.segment import ClassifyTissueFlow
from phantom import save_image_and_mask


def main(folder: Path) -> None:
    image, _ = save_image_and_mask(folder, "T1w.nii.gz", "mask.nii.gz")
    sys.argv = ["dipy_classify_tissue", str(image), "--method", "hmrf", "--nclass", "3", "--out_dir", str(folder)]
    run_flow(ClassifyTissueFlow())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
