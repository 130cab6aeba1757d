"""Loads what commands load, for the processes that are forked of the one that imports this. It
trains nothing.

The server of forks keeps an error of this module to itself, and its processes are slow:
test_forked.py tells.
"""

import atexit
import gc
from importlib import import_module

import torch
from optuna.storages import RDBStorage  # noqa: F401 - Optuna loads it when it is first asked for

for name in (
    "alembic.autogenerate",
    "alembic.command",
    "jinja2",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "networkx",
    "objectives.augmentation",
    "objectives.captured",
    "objectives.cost_measurement",
    "objectives.data.cache",
    "objectives.data.datasets",
    "objectives.data.images",
    "objectives.device",
    "objectives.device_name",
    "objectives.examination",
    "objectives.model_file",
    "objectives.optimizers",
    "objectives.training",
    "onnx",
    "onnxruntime",
    "onnxscript",
    # By this module typer reads options.
    "pydantic.type_adapter",
    "pydantic.types",
    "safetensors.torch",
    "scipy.optimize",
    "scipy.stats",
    "search.cli.main",
    "search.engines.launch",
    "search.engines.processes",
    "search.engines.serving",
    "search.notebook",
    "search.report.ablation",
    "search.report.answer_fields",
    "search.report.confirmation_document",
    "search.report.live",
    "search.report.page.written",
    "search.report.text",
    "search.worker.artifacts",
    "search.worker.loop",
    "search.worker.pictures",
    "sklearn.datasets",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.orm",
    "torch.export",
):
    import_module(name)
# An optimizer loads PyTorch's compiler when it is first used.
torch.optim.SGD([torch.zeros(1, requires_grad=True)]).zero_grad()
# What is loaded is no garbage: a collector that looked at it would have each fork copy all of it.
gc.collect()
gc.freeze()
# The server unfreezes what it has; a fork ends without that.
atexit.register(gc.unfreeze)
