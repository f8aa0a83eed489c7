"""stochastic_networks.py: stochastic depth as PyTorch modules, with the gates of each step given: PyramidSepDrop in the form of its authors'
code (the last convolution and batch norm in two, each with a gate), PyramidDrop, and gates on the branches of merge-and-run networks.

What it is for: golden vectors (papers.py). What it is not: drawing gates (given and recorded), networks without them (paper_networks.py).
"""

from collections import OrderedDict

import torch
from torch import nn

from paper_networks import Branch, MergeAndRun, Pyramid, PyramidBlock, convolution, relu
from paper_networks import exported as exported_plainly


class Gate(nn.Module):
    """b x in training, p x in evaluation."""

    def __init__(self):
        super().__init__()
        self.survival, self.open = 1.0, True

    def forward(self, x):
        return x * (float(self.open) if self.training else self.survival)


class Halves(nn.Module):
    """Convolution, batch norm and gate of the channels with a shortcut, and of the others, if there are any."""

    def __init__(self, c, old, new, kernel):
        super().__init__()
        self.counts = [count for count in (old, new) if count]
        for half, count in zip(("upper", "lower"), self.counts):
            self.add_module(half, nn.Sequential(OrderedDict(
                conv=convolution(c, count, kernel), bn=nn.BatchNorm2d(count), gate=Gate())))

    def forward(self, x):
        return torch.cat([half(x) for half in self.children()], dim=1)


class SeparatedBlock(PyramidBlock):
    """The last convolution and norm of a PyramidBlock in two halves with a gate each."""

    def __init__(self, c, m, stride, bottleneck):
        super().__init__(c, m, stride, bottleneck)
        self.last = 3 if bottleneck else 2
        delattr(self, f"conv{self.last}")
        delattr(self, f"bn{self.last + 1}")
        self.halves = Halves(m, min(c, self.out), max(self.out - c, 0), 1 if bottleneck else 3)
        self.gates = [half.gate for half in self.halves.children()]

    def residual(self, x):
        x = relu(self.bn2(self.conv1(self.bn1(x))))
        if self.last == 3:
            x = relu(self.bn3(self.conv2(x)))
        return self.halves(x)


class GatedBlock(PyramidBlock):
    """One gate for the whole branch."""

    def __init__(self, c, m, stride, bottleneck):
        super().__init__(c, m, stride, bottleneck)
        self.gate = Gate()
        self.gates = [self.gate]

    def residual(self, x):
        return self.gate(super().residual(x))


class StochasticPyramid(Pyramid):
    """survivals: p_N of each gate; block l of N survives with 1 - l / N (1 - p_N)."""

    def __init__(self, n, alpha, width, block, survivals, bottleneck=False):
        super().__init__(n, alpha, width, bottleneck)
        blocks = [(s, b) for s in range(3) for b in range(n)]
        c, real = width, float(width)
        self.layers = []
        for number, (s, b) in enumerate(blocks, 1):
            real += alpha / (3 * n)
            made = block(c, int(real + 0.5), 2 if s > 0 and b == 0 else 1, bottleneck)
            for gate, last in zip(made.gates, survivals):
                gate.survival = 1 - number / len(blocks) * (1 - last)
            getattr(self, f"stage{s + 1}")[b] = made
            self.layers.append((f"stage{s + 1}.block{b + 1}.gate", made.gates))
            c = made.out


class GatedBranch(Branch):
    """H behind a gate."""

    def __init__(self, like):
        first = like.conv1
        super().__init__(first.in_channels, first.out_channels, first.stride[0], bottleneck=False)
        self.gate = Gate()

    def forward(self, x):
        return self.gate(super().forward(x))


class StochasticMergeAndRun(MergeAndRun):
    """A gate on each branch H_k."""

    def __init__(self, n, width, k, survival):
        super().__init__(n, width, k)
        blocks = self.blocks()
        self.layers = []
        for number, block in enumerate(blocks, 1):
            place = f"stage{(number - 1) // n + 1}.block{(number - 1) % n + 1}"
            for i in range(1, k + 1):
                branch = GatedBranch(getattr(block, f"branch{i}"))
                branch.gate.survival = 1 - number / len(blocks) * (1 - survival)
                setattr(block, f"branch{i}", branch)
                self.layers.append((f"{place}.branch{i}.gate", [branch.gate]))


def draw(module, random):
    """Opens and closes gates; the text says how: layer=bits, …, upper before lower."""
    words = []
    for name, gates in module.layers:
        for gate in gates:
            gate.open = bool(random.integers(2))
        words.append(f"{name}=" + "".join(str(int(gate.open)) for gate in gates))
    return ",".join(words)


def exported(module, values):
    """As paper_networks.exported, with the halves of a block joined to one convolution and one norm."""
    found = exported_plainly(module, values)
    for place, block in module.named_modules():
        if not isinstance(block, SeparatedBlock):
            continue
        for own, number, leaves in (("conv", block.last, ("weight",)), (
                "bn", block.last + 1, ("gamma", "beta", "running_mean", "running_variance"))):
            for leaf in leaves:
                names = [f"{place}.halves.{half}.{own}.{leaf}" for half in ("upper", "lower")]
                parts = [found.pop(name) for name in names if name in found]
                if parts:
                    found[f"{place}.{own}{number}.{leaf}"] = torch.cat(parts, dim=-1)
    return found


#: name -> (Renga's architecture, its options, the module)
NETWORKS = {
    "sepdrop_basic": (
        "pyramidnet", "depth=14,alpha=5,width=5,stochastic_depth=separate,survival=0.5",
        lambda: StochasticPyramid(2, 5, 5, SeparatedBlock, (0.5, 0.5))),
    "sepdrop_bottleneck": (
        "pyramidnet",
        "depth=11,alpha=4,width=3,block=bottleneck,stochastic_depth=separate,survival_upper=0.7,survival_lower=0.4",
        lambda: StochasticPyramid(1, 4, 3, SeparatedBlock, (0.7, 0.4), bottleneck=True)),
    "pyramiddrop_basic": (
        "pyramidnet", "depth=14,alpha=5,width=5,stochastic_depth=joint,survival=0.5",
        lambda: StochasticPyramid(2, 5, 5, GatedBlock, (0.5,))),
    "dmrnet_gates": (
        "dmrnet", "depth=14,branches=2,width=3,stochastic_depth=joint,survival=0.6",
        lambda: StochasticMergeAndRun(2, 3, 2, 0.6)),
}
