"""One thread, as in the tests of genzoo, so that functions have the same digits each time."""

import torch

torch.set_num_threads(1)
