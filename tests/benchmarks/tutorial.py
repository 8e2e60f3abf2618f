"""The tutorial as a script: load, entropy of every voxel, total, map, figure of one slice; what the stages are held to.

python tutorial.py FILE FOLDER
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import nibabel as nib
import numpy as np

image = nib.load(sys.argv[1])
p = image.get_fdata()
q = p / p.sum(axis=-1, keepdims=True)
entropy = -np.sum(q * np.log2(q + 1e-12), axis=-1)
total = np.nansum(entropy)
np.save(f"{sys.argv[2]}/entropy.npy", entropy)
nib.save(nib.Nifti1Image(entropy.astype(np.float32), image.affine), f"{sys.argv[2]}/entropy.nii.gz")
plt.imshow(entropy[:, :, entropy.shape[2] // 2].T, origin="lower", cmap="magma")
plt.colorbar()
plt.title(f"{total:.0f} bit")
plt.savefig(f"{sys.argv[2]}/entropy.png")
