"""A training loop as one would write it by hand for one GPU: what train() is measured against.

It trains train()'s network with SGD on images that lie on the device: a whole step, from the
numbers of a batch's images to the optimizer, is one CUDA graph, and an epoch replays it. There is
no evaluation, no metric but a sum of losses, and no technique. On a CPU the same step is taken
operator by operator.
"""

import torch
from torch import nn

from benchmarks.gpu.measuring import CLASSES
from models.cnn import CNN, CNNConfig
from objectives.data.images import LabelledImages
from objectives.device import float32_products

WARM_UP_STEPS = 3
LEARNING_RATE = 1e-3


class HandWritten:
    """One network under training in batches of one size; images that fill no batch are left out of
    an epoch.

    >>> loop = HandWritten(made_up(256, device).train, 64, "float32")  # doctest: +SKIP
    >>> loop.epoch()
    2.31
    """

    def __init__(self, data: LabelledImages, batch_size: int, precision: str) -> None:
        device = data.labels.device
        # float32 does not use the tensor cores, which want the channels of a pixel side by side.
        plain = device.type == "cuda" and precision == "float32"
        layout = torch.contiguous_format if plain else torch.channels_last
        _, channels, height, width = data.images.shape
        self._data = data
        self._precision = precision
        self._layout = layout
        self.model = (
            CNN(CNNConfig(channels, (height, width), CLASSES)).to(device).to(memory_format=layout)
        )
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE, fused=True)
        self._chosen = torch.arange(batch_size, device=device)
        self._losses = torch.zeros((), device=device)
        self.batch_size = batch_size
        self._graph: torch.cuda.CUDAGraph | None = None
        if device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            with float32_products("tf32" if precision == "tf32" else "ieee"):
                self._capture()

    def take(self) -> None:
        """One step on the images that were chosen last; on CUDA on the caller's stream."""
        if self._graph is None:
            self._step()
        else:
            self._graph.replay()

    def epoch(self) -> float:
        """Every image once, in a new order: the mean loss; the device is waited for at the end
        alone.
        """
        device, count = self._data.labels.device, len(self._data.labels)
        self._losses.zero_()
        steps = count // self.batch_size
        order = torch.randperm(count, device=device)[: steps * self.batch_size]
        for batch in order.view(steps, self.batch_size):
            self._chosen.copy_(batch)
            self.take()
        return float(self._losses) / steps

    def _step(self) -> None:
        self._optimizer.zero_grad()
        images = (self._data.images[self._chosen].float() / 255).contiguous(
            memory_format=self._layout
        )
        labels = self._data.labels[self._chosen]
        with torch.autocast(labels.device.type, torch.bfloat16, enabled=self._precision == "bf16"):
            logits = self.model(images)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        torch.autograd.backward(loss)
        self._optimizer.step()
        self._losses += loss.detach()

    def _capture(self) -> None:
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP_STEPS):
                self._step()
        torch.cuda.current_stream().wait_stream(self.stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self._step()
        self._graph = graph
