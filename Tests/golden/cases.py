"""cases.py: what the golden vectors are of: one small network an operator, and residual networks.

What it is not: how they are computed (torch_network.py) and stored (generate.py).
"""

from dataclasses import dataclass, field

from torch_network import Node


@dataclass
class Case:
    name: str
    folder: str
    nodes: list[Node]
    input_shape: tuple[int, int, int]  # H, W, C
    n: int
    seed: int
    classes: int = 7
    smoothing: float = 0.1
    architecture: str = ""
    recipes: dict[str, str] = field(default_factory=dict)


def text(attributes):
    return {key: str(value) for key, value in attributes.items()}


def between(op, attributes, channels=6, smoothing=0.1, h=6, w=5, n=2, stem_bias="yes"):
    """The operator as node "op" between a stem and a head that learn.

    The stem's 5x5 filters over random images see every pixel of the gradient that "op" sends back in more equations than
    unknowns, so that only the right gradient gives the right dweight: the check is as sharp as comparing the gradient itself.
    (No bias before a batch norm: its gradient is zero but for roundings.)
    """
    nodes = [
        Node("stem", "convolution", ["input"], text({"channels": channels, "kernel": 5, "pad": 2, "bias": stem_bias})),
        Node("op", op, ["stem"], text(attributes)),
        Node("flat", "flatten", ["op"]),
        Node("head", "linear", ["flat"], {"channels": "7"}),
    ]
    return {"nodes": nodes, "input_shape": (h, w, 3), "n": n, "smoothing": smoothing}


def joined(middle, op, inputs, attributes=None):
    """Like `between`, for operators that need more nodes between the stem and them."""
    case = between(op, attributes or {})
    stem, operator, *rest = case["nodes"]
    operator.inputs = inputs
    case["nodes"] = [stem, *middle, operator, *rest]
    return case


def second(name, channels=6):
    return Node(name, "convolution", ["input"], text({"channels": channels, "kernel": 3, "pad": 1}))


def imported():
    """What networks from elsewhere bring. (Seeds follow from the order: new cases come last.)"""
    table = {
        "activation_" + name: between("activation", {"function": name, **numbers})
        for name, numbers in [
            ("sigmoid", {}), ("tanh", {}), ("leaky_relu", {"alpha": 0.2}), ("clip", {"alpha": -0.5, "beta": 0.75}),
            ("hard_sigmoid", {"alpha": 0.3, "beta": 0.4}), ("hard_swish", {}), ("elu", {"alpha": 1.5}), ("softplus", {}),
            ("silu", {})]
    }
    gate = Node("gate", "global_average_pool", ["stem"])
    for name in ("multiply", "add", "subtract", "maximum", "minimum"):
        table["arithmetic_" + name] = joined([second("branch")], "arithmetic", ["stem", "branch"], {"function": name})
    positive = Node("positive", "activation", ["branch"], {"function": "clip", "alpha": "0.5", "beta": "100"})
    table["arithmetic_divide"] = joined([second("branch"), positive], "arithmetic", ["stem", "positive"], {"function": "divide"})
    table["arithmetic_gate"] = joined([gate], "arithmetic", ["stem", "gate"], {"function": "multiply"})
    table["arithmetic_mask"] = joined([second("mask", 1)], "arithmetic", ["mask", "stem"], {"function": "subtract"})
    table |= {
        "scale": between("scale", {}),
        "flatten_nchw": between("flatten", {"order": "nchw"}),
        "log_softmax": between("softmax", {"log": "yes"}),
        "global_max_pool": between("global_max_pool", {}),
        "lrn": between("lrn", {"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 2}),
        "pad": between("pad", {"top": 1, "left": 2, "bottom": -1, "right": 3, "before": 1, "after": 2, "value": 0.25}),
        "pad_reflect": between("pad", {"top": 3, "left": 1, "bottom": 2, "right": 4, "mode": "reflect"}),
        "pad_edge": between("pad", {"top": 1, "right": 2, "mode": "edge"}),
        "pad_wrap": between("pad", {"bottom": 2, "left": 3, "mode": "wrap"}),
        "slice": between("slice", {"start_h": 1, "end_h": -1, "step_w": 2, "start_c": -4}),
        "resize_nearest": between(
            "resize", {"height": 9, "width": 3, "coordinates": "asymmetric", "nearest": "floor"}),
        "resize_nearest_exact": between("resize", {"height": 4, "width": 12, "nearest": "round_prefer_ceil"}),
        "resize_linear": between("resize", {"height": 9, "width": 3, "mode": "linear"}),
        "resize_linear_aligned": between(
            "resize", {"height": 11, "width": 7, "mode": "linear", "coordinates": "align_corners"}),
        "resize_linear_antialias": between(
            "resize", {"height": 4, "width": 2, "mode": "linear", "antialias": "yes", "exclude_outside": "yes"}),
        "resize_cubic": between("resize", {"height": 8, "width": 3, "mode": "cubic"}),
        "resize_cubic_antialias": between(
            "resize",
            {"height": 3, "width": 4, "mode": "cubic", "cubic_a": -0.5, "antialias": "yes", "exclude_outside": "yes"}),
        "conv_transpose": between("conv_transpose", {"channels": 4, "kernel": 3}, h=4, w=3),
        "conv_transpose_strided": between(
            "conv_transpose",
            {"channels": 5, "kernel_h": 3, "kernel_w": 4, "stride_h": 2, "stride_w": 3, "pad": 1, "output_pad_h": 1,
             "output_pad_w": 2}, h=4, w=3),
        "conv_transpose_groups": between(
            "conv_transpose", {"channels": 4, "kernel": 2, "dilation": 2, "groups": 2, "bias": "no"}, h=4, w=3),
        # At the end, as all that is new: each file's numbers follow from its place.
        "softmax_rows": between("softmax", {"axis": "h"}),
        "log_softmax_columns": between("softmax", {"axis": "w", "log": "yes"}),
    }
    return table


def operators():
    flatten = Node("vector", "flatten", ["stem"])
    table = {
        "convolution": between("convolution", {"channels": 5, "kernel": 3, "pad": 1}),
        "convolution_no_bias": between("convolution", {"channels": 17, "kernel": 3, "bias": "no"}),
        "convolution_asymmetric": between(
            "convolution",
            {"channels": 5, "kernel_h": 3, "kernel_w": 2, "stride_h": 2, "stride_w": 1,
             "pad_top": 0, "pad_left": 1, "pad_bottom": 2, "pad_right": 3}),
        "convolution_dilated": between("convolution", {"channels": 4, "kernel": 3, "pad": 2, "dilation": 2}),
        "convolution_groups": between("convolution", {"channels": 4, "kernel": 3, "pad": 1, "groups": 2}),
        "convolution_depthwise": between(
            "convolution", {"channels": 6, "kernel": 3, "pad": 1, "stride": 2, "groups": 6}),
        "convolution_pointwise": between("convolution", {"channels": 9, "kernel": 1, "stride": 2}),
        "convolution_wide": between("convolution", {"channels": 35, "kernel": 3, "pad": 1}, channels=18, h=4, w=3),
        "linear": joined([flatten], "linear", ["vector"], text({"channels": 11})),
        "batch_norm": between("batch_norm", {"epsilon": 1e-3, "momentum": 0.3}, stem_bias="no"),
        "batch_norm_frozen": between("batch_norm", {"mode": "frozen"}),
        "batch_norm_frozen_statistics": between("batch_norm", {"mode": "frozen_statistics"}),
        "batch_norm_plain": between("batch_norm", {"affine": "no"}, stem_bias="no"),
        "relu": between("relu", {}),
        "prelu": between("prelu", {}),
        "max_pool": between("max_pool", {"kernel": 3, "stride": 2, "pad": 1}),
        "max_pool_ceil": between("max_pool", {"kernel": 3, "stride": 2, "ceil_mode": "yes"}),
        "max_pool_dilated": between("max_pool", {"kernel_h": 2, "kernel_w": 3, "dilation": 2, "pad": 1}),
        "average_pool": between("average_pool", {"kernel": 3, "stride": 2, "pad": 1}),
        "average_pool_exclude_pad": between(
            "average_pool", {"kernel": 3, "stride": 2, "pad": 1, "count_include_pad": "no"}),
        "average_pool_ceil": between(
            "average_pool", {"kernel_h": 3, "kernel_w": 2, "stride_h": 2, "stride_w": 3, "pad": 1, "ceil_mode": "yes"}),
        "average_pool_ceil_exclude_pad": between(
            "average_pool",
            {"kernel_h": 3, "kernel_w": 2, "stride_h": 2, "stride_w": 3, "pad": 1, "ceil_mode": "yes",
             "count_include_pad": "no"}),
        "global_average_pool": between("global_average_pool", {}),
        "softmax": between("softmax", {}),
        "flatten": between("flatten", {}),
        "channel_slice": between("channel_slice", {"begin": 1, "count": 3}),
        "channel_pad": between("channel_pad", {"before": 2, "after": 3}),
        "add": joined([second("branch")], "add", ["stem", "branch"]),
        "mean": joined([second("branch"), second("third")], "mean", ["stem", "branch", "third"]),
        "concat": joined([second("branch", 5)], "concat", ["branch", "stem"]),
        "cross_entropy_plain": between("relu", {}, smoothing=0.0),
        **imported(),
    }
    return [Case(name=name, folder="operators", seed=100 + i, **table[name]) for i, name in enumerate(table)]


SGD = "optimizer=sgd,learning_rate=0.05,momentum=0.9,nesterov=yes,weight_decay=0.0001"
SGD_PLAIN = (
    "optimizer=sgd,learning_rate=0.05,momentum=0.8,nesterov=no,weight_decay=0.01,"
    "decay_norm=no,decay_bias=no,clip_norm=0.5")
ADAMW = "optimizer=adamw,learning_rate=0.001,weight_decay=0.05,decay_norm=no,decay_bias=no"


class ResidualNodes:
    """A CIFAR residual network with basic blocks (He et al. 2015, 2016), node by node as Renga's `resnet` makes it, but narrower."""

    def __init__(self, depth, width, order, shortcut):
        self.nodes = []
        self.c = 3
        self.order, self.shortcut = order, shortcut
        last = self.convolution("stem.conv1", "input", width, 3, 1)
        if order == "post":
            last = self.norm_relu("stem.", last, "1")
        for stage in range(3):
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                last = self.block(f"stage{stage + 1}.block{block + 1}.", last, width << stage, stride)
        if order == "pre":
            last = self.norm_relu("", last, "_last")
        last = self.add("pool", "global_average_pool", [last])
        self.add("fc", "linear", [last], {"channels": 7})

    def add(self, name, op, inputs, attributes=None):
        self.nodes.append(Node(name, op, inputs, text(attributes or {})))
        return name

    def convolution(self, name, src, channels, kernel, stride):
        attributes = {"channels": channels, "kernel": kernel, "bias": "no"}
        if stride > 1:
            attributes["stride"] = stride
        if kernel > 1:
            attributes["pad"] = kernel // 2
        self.c = channels
        return self.add(name, "convolution", [src], attributes)

    def norm(self, name, src):
        return self.add(name, "batch_norm", [src])

    def norm_relu(self, place, src, number):
        return self.add(f"{place}relu{number}", "relu", [self.norm(f"{place}bn{number}", src)])

    def block(self, place, src, channels, stride):
        old = self.c
        around = src
        if self.order == "pre":
            active = self.norm_relu(place, src, "1")
            if self.shortcut == "project" and (stride != 1 or old != channels):
                around = active
            x = self.convolution(place + "conv1", active, channels, 3, stride)
            x = self.norm_relu(place, x, "2")
            x = self.convolution(place + "conv2", x, channels, 3, 1)
        else:
            x = self.convolution(place + "conv1", src, channels, 3, stride)
            x = self.norm_relu(place, x, "1")
            x = self.convolution(place + "conv2", x, channels, 3, 1)
            x = self.norm(place + "bn2", x)
        around = self.shortcut_of(place + "shortcut.", around, old, channels, stride)
        joined = self.add(place + "add", "add", [x, around])
        return joined if self.order == "pre" else self.add(place + "relu", "relu", [joined])

    def shortcut_of(self, place, src, old, channels, stride):
        if stride == 1 and old == channels:
            return src
        if self.shortcut == "project":
            projected = self.convolution(place + "conv", src, channels, 1, stride)
            return projected if self.order == "pre" else self.norm(place + "bn", projected)
        smaller = self.add(place + "subsample", "average_pool", [src], {"kernel": 1, "stride": stride})
        return self.add(place + "pad", "channel_pad", [smaller], {"after": channels - old})


def residual_networks():
    cases = []
    for i, (order, shortcut, recipes) in enumerate([
        ("post", "pad", {"sgd": SGD, "adamw": ADAMW}),
        ("post", "project", {"sgd": SGD_PLAIN}),
        ("pre", "pad", {"adamw": ADAMW}),
        ("pre", "project", {"sgd": SGD, "adamw": ADAMW}),
    ]):
        cases.append(
            Case(
                name=f"resnet_{order}_{shortcut}", folder="networks", input_shape=(16, 16, 3), n=4, seed=300 + i,
                nodes=ResidualNodes(8, 6, order, shortcut).nodes, recipes=recipes,
                architecture=f"depth=8,order={order},shortcut={shortcut},classes=7,input=16x16x3"))
    return cases
