"""Loads what commands load, for the processes that are forked of the one that imports this. It
trains nothing.
"""

from importlib import import_module

import torch

for name in ("artifacts", "cli.main", "launch", "notebook", "output", "pictures", "worker"):
    import_module(f"search.{name}")
# An optimizer loads PyTorch's compiler when it is first used.
torch.optim.SGD([torch.zeros(1, requires_grad=True)]).zero_grad()
