"""Writes the names and extents of torchvision's tensors beside the architecture of ours that is the same network.

    python3 torchvision_names.py > ../../bindings/python/tests/torchvision_names.json

Needs torch and torchvision (0.28 wrote the file that is kept). Not here: any number of a tensor.
"""

import json
import sys

import torchvision

LARGE = "stem=imagenet,classes=1000"
SIZE = "input=224x224x3,classes=1000"
CASES = {
    "resnet18": ("resnet", f"depth=18,{LARGE}"),
    "resnet50": ("resnet", f"depth=50,{LARGE}"),
    "resnext50_32x4d": ("resnext", f"depth=50,groups=32,width=4,{LARGE}"),
    # Small classifiers: the tensors of the published ones have hundreds of megabytes.
    "vgg11": ("vgg", "depth=11,norm=no,hidden=0"),
    "vgg16_bn": ("vgg", "depth=16,norm=yes,hidden=0"),
    "squeezenet1_0": ("squeezenet", f"version=1.0,{SIZE}"),
    "squeezenet1_1": ("squeezenet", f"version=1.1,{SIZE}"),
}


def main() -> None:
    """The list as JSON on standard output."""
    found = {}
    for name, (architecture, options) in CASES.items():
        state = getattr(torchvision.models, name)(weights=None).state_dict()
        tensors = {key: list(value.shape) for key, value in state.items() if not key.endswith("num_batches_tracked")}
        if "hidden=0" in options:
            # The stages are those of any size; the one linear layer behind them stands where the last one does.
            tensors = {key: shape for key, shape in tensors.items() if key.startswith("features.")}
            tensors |= {"classifier.6.weight": [10, 512], "classifier.6.bias": [10]}
        found[name] = {"architecture": architecture, "options": options, "tensors": tensors}
    lines = [f"{json.dumps(name)}: {json.dumps(case, separators=(',', ':'))}" for name, case in found.items()]
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
