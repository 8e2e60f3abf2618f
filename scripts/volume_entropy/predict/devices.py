"""Where networks run: a GPU if there is one, else the threads of the job."""

import torch

from ..joblog import logger


def choose_device(threads: int) -> torch.device:
    """Return the device of this job and log which one it is; `threads` bounds what torch uses of the processor."""
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        logger.info("device: %s (%s)", device, torch.cuda.get_device_name(device))
    else:
        device = torch.device("cpu")
        logger.info("device: cpu, %d threads", torch.get_num_threads())
    return device
