"""An estimate of the step time of a job on chips that are not there.

Bounds for each resource, from data sheets and formulas; nothing is measured. The assumptions stand in `ASSUMPTIONS` and are
printed beside the result. D width, P parameters, all per chip unless said.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from mdm.model import flops
from mdm.training.chips import Chip
from mdm.training.loop import Job
from mdm.training.work import Work

MATMUL_SHARE = 0.7
ACTIVATION_PASSES = (
    40  # arrays of [tokens, D] that a layer reads or writes in HBM, forward and backward, beside its products
)
LOGIT_PASSES = 4

ASSUMPTIONS = (
    f"matrix products reach {MATMUL_SHARE:.0%} of the chip's bfloat16 peak",
    "traffic over links and to HBM overlaps with products, the head's with its own; the optimizer and the network between slices "
    "do not",
    f"a layer moves {ACTIVATION_PASSES} arrays of [tokens, width] through HBM, the head the float32 logits of its positions "
    f"{LOGIT_PASSES} times and its columns and their gradients once a chunk",
    "weights of layers and their gradients travel in bfloat16, gradients of embeddings and head in float32; between slices every "
    "micro-batch sends them",
    "fsdp uses all axes of the torus that tensor and sequence leave it, in both directions",
)


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Seconds a step, by what bounds it; `step` joins them.

    head, head_hbm: products and traffic of the output head, which runs behind the layers and hides nothing of theirs
    """

    compute: float
    hbm: float
    head: float
    head_hbm: float
    links: float
    network: float
    optimizer: float
    imbalance: float
    mfu: float

    @property
    def step(self) -> float:
        head = max(self.head * self.imbalance, self.head_hbm)
        return max(self.compute * self.imbalance, self.hbm, self.links) + head + self.network + self.optimizer


def estimate(job: Job, work: Work, shape: Mapping[str, int], parameters: int, columns: int, chip: Chip) -> Roofline:
    """shape: of the mesh; parameters: all of the model; columns: of the output head."""
    model, training, length = job.model, job.training, job.data.row_length
    replica, fsdp, tensor, sequence = (shape[axis] for axis in ("replica", "fsdp", "tensor", "sequence"))
    chips = replica * fsdp * tensor * sequence
    shards = replica * fsdp
    micro = training.micro_batches(shards)
    model_flops = flops.TRAINING * work.row * training.batch_size
    again = {"none": 0.0, "full": work.body}.get(model.remat, model.depth * flops.attention(model, length))
    products = chips * chip.flops * MATMUL_SHARE
    compute = (flops.TRAINING * work.body + again) * training.batch_size / products
    head = flops.TRAINING * (work.row - work.body) * training.batch_size / products

    passes = 3 if model.remat == "full" else 2
    layers = model.depth * flops.layer_weights(model)
    tokens = training.batch_size * length / shards / sequence
    weights = 2 * layers / tensor * passes * micro
    # The head's FLOPs are 2 D a logit: 4 bytes of a logit; a chunk reads D columns twice and adds to their gradient, 12 bytes.
    logits = (work.row - work.body) * training.batch_size / chips / (2 * model.width)
    head_hbm = logits * (4 * LOGIT_PASSES + 12 * model.width / model.head_chunk) / chip.hbm_bandwidth
    hbm = (weights + model.depth * ACTIVATION_PASSES * 2 * tokens * model.width) / chip.hbm_bandwidth
    own = parameters / fsdp / tensor
    # reads the gradient (twice, once for its norm), the parameter, two moments, the average; writes all but the gradient
    optimizer = 4 * own * 10 / chip.hbm_bandwidth

    axes = max(1, chip.link_axes - (tensor > 1) - (sequence > 1))
    tables = 2 * columns * model.width  # embedding and head
    gathered = 2 * (layers / tensor + tables) * passes + 2 * layers / tensor + 4 * tables
    links = micro * gathered * (fsdp - 1) / fsdp / (chip.link_bandwidth * axes)
    hidden = 2 * tokens * model.width
    links += model.depth * 2 * passes * 2 * hidden * (tensor - 1) / tensor / chip.link_bandwidth
    links += model.depth * passes * 2 * hidden / tensor * (sequence - 1) / chip.link_bandwidth
    sent = (2 * layers / tensor + 4 * tables) / fsdp
    network = micro * 2 * sent * (replica - 1) / replica / chip.network_bandwidth
    found = Roofline(compute, hbm, head, head_hbm, links, network, optimizer, work.imbalance, 0.0)
    return dataclasses.replace(found, mfu=model_flops / chips / chip.flops / found.step)
