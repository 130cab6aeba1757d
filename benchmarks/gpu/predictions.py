"""What was expected of one H100 before anything was measured: by counting operations and bytes, not
by measuring.

An image of 28 x 28 takes the default network 45.7 million operations and, in float32 without fused
layers, about 2.6 MB of memory traffic. docs/gpu.md says where each number comes from.
"""

from benchmarks.gpu.lab import Expected

IMAGES_PER_SECOND: dict[str, dict[int, Expected]] = {
    "DataLoader": {64: Expected(15e3, 20e3), 256: Expected(15e3, 20e3)},
    "eager": {
        64: Expected(100e3, 100e3),
        256: Expected(330e3, 330e3),
        1024: Expected(370e3, 370e3),
    },
    "float32": {
        64: Expected(230e3, 290e3),
        256: Expected(330e3, 400e3),
        1024: Expected(350e3, 450e3),
    },
    "tf32": {64: Expected(350e3, 400e3), 256: Expected(600e3, 600e3), 1024: Expected(650e3, 800e3)},
    "bf16": {64: Expected(330e3, 400e3), 256: Expected(800e3, 800e3), 1024: Expected(0.9e6, 1.1e6)},
}
COPY_TB_PER_SECOND = Expected(3.0, 3.0)
PRODUCT_TFLOP_PER_SECOND = {"float32": Expected(67, 67), "tf32": Expected(457, 457)}
OVER_DATALOADER = {"float32": Expected(15), "tf32": Expected(40), "bf16": Expected(40)}
OVER_HAND_WRITTEN = Expected(0.9)
# Four networks of batch 64 that train at a time come to so many times one.
STREAMS = {
    "float32": Expected(1.5, 1.5),
    "tf32": Expected(2.0, 2.5),
    "bf16": Expected(3.0, 3.0),
}
# The seconds are of 40 trials after the start: 5 s of GPU, 4 to 8 s of checkpoints and database, 5
# s of pictures.
STUDY_SECONDS = Expected(14, 18)
START_SECONDS = Expected(7, 7)
