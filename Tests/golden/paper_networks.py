"""paper_networks.py: the papers' networks as PyTorch modules, written from the papers' formulas and not from Renga's graphs.

What it is for: golden vectors of whole families (generate.py). Sub-modules have Renga's names, so that state_dict() lines up with its
parameters; `exported` turns names and layouts. What it is not: a list of Renga's nodes (torch_network.py computes such lists).
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn


# Of every source of a ReLU that gradients pass: how near a value but 0 comes to 0, in parts of the root mean square.
kinks = []


def relu(x):
    """As PyTorch's. A value within roundings of 0 would give f32 another gradient than float64."""
    if torch.is_grad_enabled():
        size = x.detach().abs()
        kinks.append(float(size[size > 0].min() / size.square().mean().sqrt()))
    return F.relu(x)


def convolution(c, k, kernel, stride=1):
    return nn.Conv2d(c, k, kernel, stride, kernel // 2, bias=False)


def stem(width):
    return nn.Sequential(OrderedDict(conv1=convolution(3, width, 3), bn1=nn.BatchNorm2d(width)))


def projection(c, k, stride):
    return nn.Sequential(OrderedDict(conv=convolution(c, k, 1, stride), bn=nn.BatchNorm2d(k)))


class Branch(nn.Module):
    """H of Zhao et al. 2016: BN after each convolution, ReLU between them, none at the end; two 3x3, or 1x1, 3x3, 1x1."""

    def __init__(self, c, m, stride, bottleneck):
        super().__init__()
        shapes = [(c, m, 1, 1), (m, m, 3, stride), (m, 4 * m, 1, 1)] if bottleneck else [(c, m, 3, stride), (m, m, 3, 1)]
        self.count = len(shapes)
        for i, (before, after, kernel, step) in enumerate(shapes, 1):
            self.add_module(f"conv{i}", convolution(before, after, kernel, step))
            self.add_module(f"bn{i}", nn.BatchNorm2d(after))

    def forward(self, x):
        for i in range(1, self.count + 1):
            x = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x))
            if i < self.count:
                x = relu(x)
        return x


class ParallelBlock(nn.Module):
    """K branches; `shortcuts` projections (1 for all, or one a stream) where shapes change."""

    def __init__(self, c, m, stride, k, shortcuts, bottleneck):
        super().__init__()
        self.k = k
        out = 4 * m if bottleneck else m
        self.changes = stride != 1 or c != out
        for i in range(1, k + 1):
            self.add_module(f"branch{i}", Branch(c, m, stride, bottleneck))
        self.around = ["shortcut"] if shortcuts == 1 else [f"shortcut{i}" for i in range(1, k + 1)]
        if self.changes:
            for name in self.around:
                self.add_module(name, projection(c, out, stride))

    def branches(self, streams):
        return [getattr(self, f"branch{i + 1}")(x) for i, x in enumerate(streams)]

    def shortcuts(self, streams):
        return [getattr(self, name)(x) for name, x in zip(self.around, streams)] if self.changes else streams


class ParallelNetwork(nn.Module):
    """Stem, three stages of ParallelBlock, global average, fully connected: a.4 of merge-and-run networks."""

    def __init__(self, n, width, k, shortcuts, bottleneck, head, classes=7):
        super().__init__()
        self.k, self.n = k, n
        self.stem = stem(width)
        c = width
        for s in range(3):
            blocks = OrderedDict()
            for b in range(n):
                stride = 2 if s > 0 and b == 0 else 1
                blocks[f"block{b + 1}"] = ParallelBlock(c, width << s, stride, k, shortcuts, bottleneck)
                c = (4 if bottleneck else 1) * (width << s)
            self.add_module(f"stage{s + 1}", nn.Sequential(blocks))
        self.fc = nn.Linear(c * head, classes)

    def blocks(self):
        return [block for s in range(3) for block in getattr(self, f"stage{s + 1}")]

    def head(self, x):
        return self.fc(x.mean(dim=(2, 3)))


class InceptionLike(ParallelNetwork):
    """DILN: x' = relu(sum of H_k(x) + S(x))."""

    def __init__(self, n, width, k, bottleneck=False):
        super().__init__(n, width, k, 1, bottleneck, 1)

    def forward(self, x):
        x = relu(self.stem(x))
        for block in self.blocks():
            x = relu(sum(block.branches([x] * self.k)) + block.shortcuts([x])[0])
        return self.head(x)


class MergeAndRun(ParallelNetwork):
    """DMRNet: m = mean of the (projected) streams; x'_k = relu(H_k(x_k) + m); at the end relu(m + sum of H_k), or the streams."""

    def __init__(self, n, width, k, bottleneck=False, collapse="once", mapping="merge"):
        super().__init__(n, width, k, k, bottleneck, k if collapse == "concat" else 1)
        self.collapse, self.mapping = collapse, mapping

    def forward(self, x):
        streams = [relu(self.stem(x))] * self.k
        last = self.blocks()[-1]
        for block in self.blocks():
            h, around = block.branches(streams), block.shortcuts(streams)
            if self.mapping == "merge":
                around = [torch.stack(around).mean(dim=0)] * self.k
            if block is last and self.collapse != "concat":
                counted = around[:1] if self.collapse == "once" and self.mapping == "merge" else around
                return self.head(relu(torch.stack(h + counted).sum(dim=0)))
            streams = [relu(a + b) for a, b in zip(h, around)]
        return self.head(torch.cat(streams, dim=1))


class PyramidBlock(nn.Module):
    """F of Han et al. 2016: BN, convolutions with BN and ReLU between them, BN at the end; a zero-padded shortcut, pooled with stride 2."""

    def __init__(self, c, m, stride, bottleneck):
        super().__init__()
        self.stride, self.out = stride, 4 * m if bottleneck else m
        self.bn1 = nn.BatchNorm2d(c)
        self.conv1 = convolution(c, m, 1) if bottleneck else convolution(c, m, 3, stride)
        self.bn2 = nn.BatchNorm2d(m)
        self.conv2 = convolution(m, m, 3, stride if bottleneck else 1)
        self.bn3 = nn.BatchNorm2d(m)
        if bottleneck:
            self.conv3 = convolution(m, self.out, 1)
            self.bn4 = nn.BatchNorm2d(self.out)

    def residual(self, x):
        x = self.bn3(self.conv2(relu(self.bn2(self.conv1(self.bn1(x))))))
        return self.bn4(self.conv3(relu(x))) if hasattr(self, "conv3") else x

    def forward(self, x):
        around = F.avg_pool2d(x, 2, 2, ceil_mode=True) if self.stride == 2 else x
        old = around.shape[1]
        f = self.residual(x)
        return torch.cat([f[:, :old] + around, f[:, old:]], dim=1)


class Pyramid(nn.Module):
    """Additive PyramidNet: w_l = w_{l-1} + alpha / N, D_l = floor(w_l + 1/2)."""

    def __init__(self, n, alpha, width, bottleneck=False, classes=7):
        super().__init__()
        self.stem = stem(width)
        c, real = width, float(width)
        for s in range(3):
            blocks = OrderedDict()
            for b in range(n):
                real += alpha / (3 * n)
                block = PyramidBlock(c, int(real + 0.5), 2 if s > 0 and b == 0 else 1, bottleneck)
                blocks[f"block{b + 1}"], c = block, block.out
            self.add_module(f"stage{s + 1}", nn.Sequential(blocks))
        self.bn_last = nn.BatchNorm2d(c)
        self.fc = nn.Linear(c, classes)

    def forward(self, x):
        x = self.stem(x)
        for s in range(3):
            x = getattr(self, f"stage{s + 1}")(x)
        return self.fc(relu(self.bn_last(x)).mean(dim=(2, 3)))


#: name -> (Renga's architecture, its options, the module)
NETWORKS = {
    "dmrnet_k2_basic": ("dmrnet", "depth=14,branches=2,width=3", lambda: MergeAndRun(2, 3, 2)),
    "dmrnet_k3_basic": ("dmrnet", "depth=14,branches=3,width=2", lambda: MergeAndRun(2, 2, 3)),
    "dmrnet_k2_bottleneck": (
        "dmrnet", "depth=11,branches=2,width=2,block=bottleneck", lambda: MergeAndRun(1, 2, 2, bottleneck=True)),
    "dmrnet_k3_bottleneck": (
        "dmrnet", "depth=11,branches=3,width=2,block=bottleneck", lambda: MergeAndRun(1, 2, 3, bottleneck=True)),
    "dmrnet_twice": ("dmrnet", "depth=8,width=3,collapse=twice", lambda: MergeAndRun(1, 3, 2, collapse="twice")),
    "dmrnet_concat": ("dmrnet", "depth=8,width=3,collapse=concat", lambda: MergeAndRun(1, 3, 2, collapse="concat")),
    "dmrnet_identity": (
        "dmrnet", "depth=14,width=2,mapping=identity", lambda: MergeAndRun(2, 2, 2, mapping="identity")),
    "diln_basic": ("inception", "depth=14,branches=2,width=3", lambda: InceptionLike(2, 3, 2)),
    "diln_bottleneck": (
        "inception", "depth=11,branches=3,width=2,block=bottleneck", lambda: InceptionLike(1, 2, 3, bottleneck=True)),
    "pyramid_basic": ("pyramidnet", "depth=14,alpha=7,width=5", lambda: Pyramid(2, 7, 5)),
    "pyramid_bottleneck": (
        "pyramidnet", "depth=20,alpha=5,width=3,block=bottleneck", lambda: Pyramid(2, 5, 3, bottleneck=True)),
}

_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_variance"}


def exported(module, values):
    """Tensors by PyTorch's names -> arrays' worth by Renga's: convolutions [R,S,C,K], linear [C,K], norms' own words."""
    found = {}
    kinds = dict(module.named_modules())
    for name, value in values.items():
        owner, leaf = name.rsplit(".", 1)
        if isinstance(kinds[owner], nn.BatchNorm2d):
            if leaf in _NORM:
                found[f"{owner}.{_NORM[leaf]}"] = value
        elif leaf == "weight":
            found[name] = value.permute(2, 3, 1, 0) if value.dim() == 4 else value.t()
        else:
            found[name] = value
    return found


def randomised(make, seed):
    """The module in float64 with values that f32 holds exactly, none of them special."""
    torch.manual_seed(seed)
    module = make().double()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            kind = name.rsplit(".", 1)[1]
            if kind == "num_batches_tracked":
                continue
            drawn = torch.randn(value.shape, dtype=torch.float64)
            if value.dim() > 1:
                drawn *= (2.0 / value[0].numel()) ** 0.5
            elif kind == "running_var":
                drawn = 0.5 + torch.rand(value.shape, dtype=torch.float64)
            else:
                # A norm's scale is called weight; offsets and means lie around 0.
                drawn = 0.1 * drawn + (1.0 if kind == "weight" else 0.0)
            value.copy_(drawn.float().double())
    return module
