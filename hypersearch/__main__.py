"""`python -m hypersearch`."""

import sys
from pathlib import Path

# -m puts the working folder first: a models.py that lies there must not stand in for ours.
if not sys.flags.safe_path and sys.path and Path(sys.path[0]).resolve() == Path.cwd():
    del sys.path[0]

from search.cli.main import main

main()
