"""Run by the interpreter that has nnU-Net: its own predictor, preprocessing, sliding window and export on one image.

    python write_nnunet.py FOLDER READER TARGET [SPACING …]

There is no trained model to be had, so the network is one convolution with fixed weights; all else is nnU-Net's.
READER is a class of nnunetv2.imageio, TARGET is `labels` or `regions`, SPACING that of the plans (z, y, x).
"""

import sys
from pathlib import Path

import nibabel
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from phantom import AFFINE, phantom

LABELS = {
    "labels": {"labels": {"background": 0, "core": 1, "rim": 2}},
    "regions": {
        "labels": {"background": 0, "whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing_tumor": 3},
        "regions_class_order": [1, 2, 3],
    },
}


def plans(reader: str, spacing: list[float]) -> dict[str, object]:
    """Plans of one 3-D configuration, as `nnUNetv2_plan_experiment` writes them, less what prediction does not use."""
    resampling = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    name = "resample_data_or_seg_to_shape"
    configuration = {
        "preprocessor_name": "DefaultPreprocessor",
        "patch_size": [16, 16, 16],
        "spacing": spacing,
        "normalization_schemes": ["ZScoreNormalization"],
        "use_mask_for_norm": [True],
        "architecture": {},
        "resampling_fn_data": name,
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg": name,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True},
        "resampling_fn_probabilities": name,
        "resampling_fn_probabilities_kwargs": resampling,
    }
    return {
        "dataset_name": "Dataset001_Phantom",
        "plans_name": "nnUNetPlans",
        "image_reader_writer": reader,
        # An order of axes that is its own kind: what nnU-Net does not undo would show.
        "transpose_forward": [1, 0, 2],
        "transpose_backward": [1, 0, 2],
        "foreground_intensity_properties_per_channel": {"0": {}},
        "label_manager": "LabelManager",
        "configurations": {"3d_fullres": configuration},
    }


def main(folder: Path, reader: str, target: str, spacing: list[float]) -> None:
    source = folder / "input"
    source.mkdir(parents=True)
    image = nibabel.Nifti1Image(phantom()[0], AFFINE)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, source / "case_001_0000.nii.gz")
    (folder / "output").mkdir()
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 3, kernel_size=3, padding=1)
    with torch.no_grad():
        network.weight.mul_(3)
    dataset = {**LABELS[target], "channel_names": {"0": "T1"}, "file_ending": ".nii.gz"}
    manager = PlansManager(plans(reader, spacing))
    predictor = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    configuration, weights = manager.get_configuration("3d_fullres"), [network.state_dict()]
    predictor.manual_initialization(network, manager, configuration, weights, dataset, "nnUNetTrainer", None)
    predictor.predict_from_files_sequential([[str(source / "case_001_0000.nii.gz")]], str(folder / "output"), True)
    (folder / "output/case_001_0000.nii.gz").write_bytes((source / "case_001_0000.nii.gz").read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], [float(edge) for edge in sys.argv[4:]] or [1.0, 2.0, 1.5])
