"""torch_network.py: a Renga network, given as its list of nodes, computed by PyTorch in float64.

What it is for: golden vectors. It knows Renga's operator names, attribute names, parameter names and layouts
(maps [N,H,W,C], convolution weight [R,S,C/G,K], linear weight [C,K]) and maps each to the plain PyTorch function.
What it is not: a second implementation; every formula here is PyTorch's.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F


@dataclass
class Node:
    """One operator: `attributes` in Renga's text form, `inputs` by name ("input" is the network's)."""

    name: str
    op: str
    inputs: list[str]
    attributes: dict[str, str] = field(default_factory=dict)

    def integer(self, key, default):
        return int(self.attributes.get(key, default))

    def flag(self, key, default="no"):
        return self.attributes.get(key, default) == "yes"

    def line(self):
        attributes = ",".join(f"{key}={value}" for key, value in sorted(self.attributes.items()))
        return " ".join([self.name, self.op, "+".join(self.inputs), attributes or "-"])


class TorchNetwork:
    """Parameters are kept in Renga's layout as float64 leaves, so that their gradients come out in it too."""

    def __init__(self, nodes, input_shape, seed):
        self.nodes = nodes
        self.input_shape = input_shape  # H, W, C
        self.parameters = {}
        self.statistics = {}
        self.random = np.random.default_rng(seed)
        with torch.no_grad():
            self.forward(torch.zeros(1, *input_shape, dtype=torch.float64), training=False, declare=True)

    # ---- parameters ----

    def parameter(self, name, dims, scale, offset=0.0):
        if name not in self.parameters:
            values = (offset + scale * self.random.standard_normal(dims)).astype(np.float32)
            self.parameters[name] = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        return self.parameters[name]

    def statistic(self, name, c, mean, spread):
        if name not in self.statistics:
            values = (mean + spread * self.random.random(c)).astype(np.float32)
            self.statistics[name] = torch.tensor(values, dtype=torch.float64)
        return self.statistics[name]

    # ---- forward ----

    def forward(self, src, training, declare=False):
        """src [N,H,W,C] -> values by node name, maps as [N,C,H,W]; running statistics move when training."""
        values = {"input": src.permute(0, 3, 1, 2)}
        for node in self.nodes:
            inputs = [values[name] for name in node.inputs]
            values[node.name] = getattr(self, "op_" + node.op)(node, inputs, training and not declare)
        return values

    def logits(self, values):
        last = values[self.nodes[-1].name]
        return last.reshape(last.shape[0], -1)

    @staticmethod
    def _padded(node, x, value=0.0):
        top, left, bottom, right = TorchNetwork._pads(node)
        return F.pad(x, (left, right, top, bottom), value=value)

    @staticmethod
    def _pads(node):
        return [node.integer("pad_" + side, node.integer("pad", 0)) for side in ("top", "left", "bottom", "right")]

    @staticmethod
    def _pair(node, key):
        both = node.integer(key, 1)
        return node.integer(key + "_h", both), node.integer(key + "_w", both)

    def op_convolution(self, node, inputs, training):
        x = inputs[0]
        k, groups = node.integer("channels", 1), node.integer("groups", 1)
        r, s = self._pair(node, "kernel")
        per_group = x.shape[1] // groups
        weight = self.parameter(node.name + ".weight", (r, s, per_group, k), (2.0 / (r * s * per_group)) ** 0.5)
        bias = self.parameter(node.name + ".bias", (k,), 0.2) if node.flag("bias", "yes") else None
        return F.conv2d(
            self._padded(node, x), weight.permute(3, 2, 0, 1).contiguous(), bias, stride=self._pair(node, "stride"),
            dilation=self._pair(node, "dilation"), groups=groups)

    def op_linear(self, node, inputs, training):
        x = inputs[0].permute(0, 2, 3, 1).flatten(1)
        k = node.integer("channels", 1)
        weight = self.parameter(node.name + ".weight", (x.shape[1], k), x.shape[1] ** -0.5)
        bias = self.parameter(node.name + ".bias", (k,), 0.2) if node.flag("bias", "yes") else None
        return F.linear(x, weight.t(), bias)[:, :, None, None]

    def op_batch_norm(self, node, inputs, training):
        x = inputs[0]
        c = x.shape[1]
        gamma = beta = None
        mode = node.attributes.get("mode", "train")
        if node.flag("affine", "yes"):
            gamma = self.parameter(node.name + ".gamma", (c,), 0.1, 1.0)
            beta = self.parameter(node.name + ".beta", (c,), 0.1)
            if mode == "frozen":
                gamma.requires_grad_(False), beta.requires_grad_(False)
        mean = self.statistic(node.name + ".running_mean", c, -0.1, 0.2)
        variance = self.statistic(node.name + ".running_variance", c, 0.5, 1.0)
        return F.batch_norm(
            x, mean, variance, gamma, beta, training and mode == "train",
            float(node.attributes.get("momentum", "0.1")), float(node.attributes.get("epsilon", "1e-5")))

    def op_relu(self, node, inputs, training):
        return F.relu(inputs[0])

    def op_prelu(self, node, inputs, training):
        return F.prelu(inputs[0], self.parameter(node.name + ".slope", (inputs[0].shape[1],), 0.05, 0.25))

    def op_max_pool(self, node, inputs, training):
        return F.max_pool2d(
            inputs[0], self._pair(node, "kernel"), self._pair(node, "stride"), self._symmetric_pad(node),
            self._pair(node, "dilation"), node.flag("ceil_mode"))

    def op_average_pool(self, node, inputs, training):
        return F.avg_pool2d(
            inputs[0], self._pair(node, "kernel"), self._pair(node, "stride"), self._symmetric_pad(node),
            node.flag("ceil_mode"), node.flag("count_include_pad", "yes"))

    def op_global_max_pool(self, node, inputs, training):
        return inputs[0].amax(dim=(2, 3), keepdim=True)

    @staticmethod
    def _symmetric_pad(node):
        """PyTorch pools know no asymmetric padding."""
        top, left, bottom, right = TorchNetwork._pads(node)
        assert (top, left) == (bottom, right)
        return top, left

    def op_global_average_pool(self, node, inputs, training):
        return inputs[0].mean(dim=(2, 3), keepdim=True)

    def op_add(self, node, inputs, training):
        return sum(inputs[1:], inputs[0])

    def op_mean(self, node, inputs, training):
        return sum(inputs[1:], inputs[0]) / len(inputs)

    def op_concat(self, node, inputs, training):
        return torch.cat(inputs, dim=1)

    def op_channel_slice(self, node, inputs, training):
        begin = node.integer("begin", 0)
        return inputs[0][:, begin : begin + node.integer("count", 1)]

    def op_channel_pad(self, node, inputs, training):
        return F.pad(inputs[0], (0, 0, 0, 0, node.integer("before", 0), node.integer("after", 0)))

    def op_pad(self, node, inputs, training):
        sides = [node.integer(side, 0) for side in ("left", "right", "top", "bottom")]
        channels = [node.integer(side, 0) for side in ("before", "after")]
        mode = {"edge": "replicate", "wrap": "circular"}.get(node.attributes.get("mode"), node.attributes.get("mode", "constant"))
        if mode == "constant":
            return F.pad(inputs[0], sides + channels, value=float(node.attributes.get("value", "0")))
        assert channels == [0, 0]
        return F.pad(inputs[0], sides, mode=mode)

    def op_slice(self, node, inputs, training):
        """PyTorch takes no negative steps."""
        far = 1 << 31
        places = [slice(node.integer("start_" + axis, 0), node.integer("end_" + axis, far), node.integer("step_" + axis, 1))
                  for axis in "chw"]
        return inputs[0][:, places[0], places[1], places[2]]

    def op_resize(self, node, inputs, training):
        """PyTorch's modes: its "nearest" is asymmetric with floor, its "nearest-exact" half_pixel with round_prefer_ceil."""
        mode, coordinates = node.attributes.get("mode", "nearest"), node.attributes.get("coordinates", "half_pixel")
        aligned = coordinates == "align_corners"
        if mode == "nearest":
            exact = (coordinates, node.attributes["nearest"]) == ("half_pixel", "round_prefer_ceil")
            assert exact or (coordinates, node.attributes["nearest"]) == ("asymmetric", "floor")
            return F.interpolate(
                inputs[0], (node.integer("height", 0), node.integer("width", 0)), mode="nearest-exact" if exact else "nearest")
        antialias = node.flag("antialias")
        assert antialias == node.flag("exclude_outside")
        assert mode == "linear" or node.attributes.get("cubic_a", "-0.75") == ("-0.5" if antialias else "-0.75")
        return F.interpolate(
            inputs[0], (node.integer("height", 0), node.integer("width", 0)), mode={"linear": "bilinear", "cubic": "bicubic"}[mode],
            align_corners=aligned, antialias=antialias)

    def op_conv_transpose(self, node, inputs, training):
        x = inputs[0]
        k, groups = node.integer("channels", 1), node.integer("groups", 1)
        r, s = self._pair(node, "kernel")
        weight = self.parameter(node.name + ".weight", (r, s, k // groups, x.shape[1]), (2.0 / (r * s * x.shape[1])) ** 0.5)
        bias = self.parameter(node.name + ".bias", (k,), 0.2) if node.flag("bias", "yes") else None
        both = node.integer("output_pad", 0)
        output_pad = (node.integer("output_pad_h", both), node.integer("output_pad_w", both))
        return F.conv_transpose2d(
            x, weight.permute(3, 2, 0, 1), bias, stride=self._pair(node, "stride"), padding=self._symmetric_pad(node),
            output_padding=output_pad, groups=groups, dilation=self._pair(node, "dilation"))

    def op_scale(self, node, inputs, training):
        c = inputs[0].shape[1]
        gamma, beta = self.parameter(node.name + ".gamma", (c,), 0.3, 1.0), self.parameter(node.name + ".beta", (c,), 0.3)
        return inputs[0] * gamma[:, None, None] + beta[:, None, None]

    def op_arithmetic(self, node, inputs, training):
        function = {"multiply": torch.mul, "add": torch.add, "subtract": torch.sub, "divide": torch.div,
                    "maximum": torch.maximum, "minimum": torch.minimum}[node.attributes["function"]]
        return function(*inputs)

    def op_activation(self, node, inputs, training):
        x, function = inputs[0], node.attributes["function"]
        alpha, beta = (float(node.attributes.get(key, "nan")) for key in ("alpha", "beta"))
        return {
            "sigmoid": lambda: torch.sigmoid(x), "tanh": lambda: torch.tanh(x), "softplus": lambda: F.softplus(x),
            "silu": lambda: F.silu(x), "leaky_relu": lambda: F.leaky_relu(x, alpha), "elu": lambda: F.elu(x, alpha),
            "clip": lambda: F.hardtanh(x, alpha, beta), "hard_swish": lambda: F.hardswish(x),
            "hard_sigmoid": lambda: torch.clamp(alpha * x + beta, 0, 1),
        }[function]()

    def op_lrn(self, node, inputs, training):
        """PyTorch counts the neighbours of even sizes the other way round."""
        size = node.integer("size", 1)
        assert size % 2 == 1
        return F.local_response_norm(
            inputs[0], size, float(node.attributes.get("alpha", "1e-4")), float(node.attributes.get("beta", "0.75")),
            float(node.attributes.get("bias", "1")))

    def op_flatten(self, node, inputs, training):
        map_ = inputs[0] if node.attributes.get("order") == "nchw" else inputs[0].permute(0, 2, 3, 1)
        return map_.flatten(1)[:, :, None, None]

    def op_softmax(self, node, inputs, training):
        dim = {"c": 1, "h": 2, "w": 3}[node.attributes.get("axis", "c")]
        return F.log_softmax(inputs[0], dim=dim) if node.flag("log") else F.softmax(inputs[0], dim=dim)
