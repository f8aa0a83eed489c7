"""What is compared: groups of networks, the data that they see, and the one recipe that all of a group share.

Not here: one training (one_run.py), their order and results (experiments.py).
"""

from __future__ import annotations

from dataclasses import dataclass

Option = int | float | str | tuple[int, ...]


@dataclass(frozen=True)
class Net:
    """A network by name, architecture and options."""

    name: str
    architecture: str
    options: dict[str, Option]


@dataclass(frozen=True)
class Group:
    """Networks that are trained alike and compared."""

    name: str
    question: str
    nets: tuple[Net, ...]
    data: str  #: "all" images; "noisy": 10,000, of whose labels 20 % are wrong; "few": 5,000
    epochs: float  #: of the whole training set; a part of it is gone through as many times more as it is smaller


@dataclass(frozen=True)
class Plan:
    """A choice of effort."""

    side: int  #: rows and columns of the images: 28, or 14 where 2x2 pixels are averaged
    effort: float  #: factor on every group's epochs; at least one is run
    seeds: tuple[int, ...]
    train_images: int  #: the first so many training images, 60,000 = all
    recipe: dict[str, Option]


#: Of every run: the library's preset "fast" (one-cycle SGD with Nesterov momentum, mirrored images) with other numbers.
RECIPE: dict[str, Option] = {"batch": 64, "learning_rate": 0.1, "weight_decay": 5e-4}

PLANS = {
    "full": Plan(28, 2.0, (1, 2, 3, 4, 5), 60_000, RECIPE),
    "short": Plan(14, 1.0, (1, 2, 3), 60_000, RECIPE),
    "check": Plan(14, 0.0, (1, 2), 1_024, RECIPE),
}

# Zhao et al. 2016: at equal L (residual branches) the three assemblies have nearly equal parameters; L = 12 here.
# The paper's residual net has projection shortcuts, and one rule for first values serves all.
_ASSEMBLY: dict[str, Option] = {"init": "he_fan_in", "classes": 10}
RESNET = Net("ResNet-26", "resnet", {"depth": 26, "shortcut": "project", **_ASSEMBLY})
DILN = Net("DILN-14", "inception", {"depth": 14, "branches": 2, **_ASSEMBLY})
DMRNET = Net("DMRNet-14", "dmrnet", {"depth": 14, "branches": 2, **_ASSEMBLY})

# Han et al. 2016, Yamada et al. 2016: one network, its branches always there, dropped whole, or dropped in two parts.
_PYRAMID: dict[str, Option] = {"depth": 20, "alpha": 18, "classes": 10, "init": "he_fan_out"}
PYRAMIDS = tuple(
    Net(name, "pyramidnet", {**_PYRAMID, "stochastic_depth": gates})
    for name, gates in (("PyramidNet-20", "none"), ("PyramidDrop-20", "joint"), ("PyramidSepDrop-20", "separate"))
)

GROUPS = (
    Group(
        "assembly",
        "The same 12 residual branches in a chain (ResNet), summed in pairs (DILN), or merged and run (DMRNet).",
        (RESNET, DILN, DMRNET),
        "all",
        4,
    ),
    Group(
        "pyramid",
        "A pyramidal network without gates, with one gate a block (PyramidDrop), and with two (PyramidSepDrop).",
        PYRAMIDS,
        "all",
        3,
    ),
    Group("pyramid-few", "The same where data are few.", PYRAMIDS, "few", 1.5),
    Group("pyramid-noisy", "The same where labels are wrong.", PYRAMIDS, "noisy", 2),
    Group("assembly-few", "The chain and merge-and-run where data are few.", (RESNET, DMRNET), "few", 1.5),
)
