"""The command line."""

import gc

# A command imports thousands of modules, next to nothing of which is garbage: to look for some
# after every 700 objects, as Python does, costs a second of a worker's start. Most of what is no
# longer needed goes without being looked for.
gc.set_threshold(100_000)
