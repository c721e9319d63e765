"""One thread: on busy cores more of them are slower, and sums keep their order."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
