"""Write scikit-learn's handwritten digits as a folder of PNG files, `<output>/<digit>/<number>.png`, 8 × 8 pixels.

1797 images by 43 writers (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository, 1998), whose grey values 0 … 16
become 0 … 255.

Call: python scripts/make_digits.py --output data/digits [--images 1797]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_digits(output: Path, n_images: int | None = None) -> int:
    """Write the first `n_images` (default: all), but none that is there already; return how many there are."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images[:n_images] * (255 / 16)).astype(np.uint8)
    for number, (image, digit) in enumerate(zip(pixels, digits.target, strict=False)):
        path = output / str(digit) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            Image.fromarray(image).save(path)
    return len(pixels)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, required=True, help="the folder of the classes")
    parser.add_argument("--images", type=int, help="the first so many (default: all)")
    given = parser.parse_args(arguments)
    print(f"{write_digits(given.output, given.images)} digits in {given.output}")


if __name__ == "__main__":
    main()
