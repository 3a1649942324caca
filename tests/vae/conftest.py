"""The networks here are too small to share out over threads."""

import torch

torch.set_num_threads(1)
