"""Predict one PNG file alone with trained networks, and say how sure they are.

    python scripts/predict_image.py results/networks/cross_entropy-0.pt digit.png [--method mc_dropout] [--passes 5]

Several networks are an ensemble. The image must look like those of the training (light strokes on dark, for the digits
of the demo); one of another size is brought to theirs, and the answer says so. `--output NAME` writes the passes as
NAME.csv, NAME.json and NAME.png.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from volume_entropy.errors import DataError, ModelError


def predict_image(
    networks: Sequence[Path], picture: Path, method: str, passes: int, seed: int, output: Path | None
) -> str:
    """Predict a picture; return what to say of it."""
    import numpy as np
    from volume_entropy.classification.learning import load_sampler, probabilities
    from volume_entropy.classification.pictures import read_picture
    from volume_entropy.classification.predictions import UNKNOWN, Predictions
    from volume_entropy.classification.rows import measure_images
    from volume_entropy.classification.stages import write_passes

    sampler, spec = load_sampler(method, networks, passes=passes, seed=seed)
    found = read_picture(picture, spec.channels)
    pixels = read_picture(picture, spec.channels, spec.size)
    p = probabilities(sampler, pixels[None])
    said = Predictions(p, (str(picture),), spec.classes, np.array([UNKNOWN]))
    (row,) = measure_images(method, said, unit="bit", sum_tolerance=0.01).images
    lines = [f"{picture}: {row['predicted']}, confidence {row['confidence']:.3f} by {row['n_members']} members"]
    lines += [
        f"  {name.replace('_', ' ')}: {row[name]:.4f} bit"
        for name in ("predictive_entropy", "expected_entropy", "mutual_information")
        if name in row
    ]
    if found.shape != pixels.shape:
        lines.append(f"  brought from {found.shape[1]} × {found.shape[2]} to {spec.size[0]} × {spec.size[1]} pixels")
    if output is not None:
        write_passes(output.parent, output.name, method, said, str(picture), pixels, unit="bit", sum_tolerance=0.01)
        lines.append(f"  passes: {output}.csv, {output}.png")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("networks", metavar="NETWORK", nargs="+", type=Path, help="checkpoints; several: an ensemble")
    parser.add_argument("picture", metavar="PNG", type=Path, help="the image")
    methods = ("softmax", "mc_dropout", "ensemble", "bayesian")
    parser.add_argument("--method", choices=methods, help="default: ensemble for several networks, else mc_dropout")
    parser.add_argument("--passes", type=int, default=5, help="of mc_dropout and bayesian (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="write the passes to this name, with .csv and .png")
    given = parser.parse_args(arguments)
    method = given.method or ("ensemble" if len(given.networks) > 1 else "mc_dropout")
    try:
        print(predict_image(given.networks, given.picture, method, given.passes, given.seed, given.output))
    except DataError as error:
        sys.exit(f"{error.code}: {error.message}. {error.remedy}")
    except ModelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
