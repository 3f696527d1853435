"""Measure time and memory of training steps of FCN-32s with Adam on one image of 366 x 500 pixels, a usual size in VOC.

Run `python -m benchmarks.fcn32s_memory`. On one busy thread a step took about a minute; the peak was 4.2 GiB.
"""

import resource
import time

import torch

from zeroshot.images import grids
from zeroshot.networks import fcn32s, optimisation
from zeroshot.pixel_classifiers import compatibility


def main() -> None:
    """Train for two steps; the second has all state of Adam."""
    size = (366, 500)
    network = fcn32s.FCN32s(20, 0.5).train().to(memory_format=torch.channels_last)
    encoder = [*network.stem.named_parameters(), *network.trunk.named_parameters()]
    recipe = optimisation.constant("adam", 1e-5, 2.0, 0.0, 0.0)
    optimizer = recipe.optimizer(encoder, [*network.classifier.named_parameters()])
    criterion = compatibility.cosine_criterion(torch.randn(17, 20))
    images = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8).to(memory_format=torch.channels_last)
    target = grids.add_margin(torch.randint(0, 17, (1, *size)), network.margin)
    for step in range(2):
        start = time.perf_counter()
        outputs = grids.upsample(network(images), (target.shape[-2], target.shape[-1]), network.stride)
        optimizer.zero_grad()
        criterion(outputs, target).backward()
        optimizer.step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"step {step}: {time.perf_counter() - start:.1f} s, peak {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
