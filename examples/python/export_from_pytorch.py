"""Exports a small PyTorch network to ONNX and its weights to safetensors, with images and PyTorch's answers to compare.
Needs torch, onnx and safetensors.

Usage: export_from_pytorch.py [FOLDER]. Not here: training it; reading it (docs/guides/import-from-pytorch.md).
"""

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(32, 2),
)
for _ in range(10):  # in your program: training. Here it only gives the batch norm statistics.
    model(torch.rand(16, 3, 32, 32))

model.eval()
images = torch.rand(4, 3, 32, 32)
torch.onnx.export(
    model,
    (images,),
    folder / "net.onnx",
    input_names=["images"],
    dynamic_axes={"images": {0: "n"}},  # any batch
    training=torch.onnx.TrainingMode.PRESERVE,  # batch norms stay what they are, so that they can be trained on
    do_constant_folding=False,
    dynamo=False,
)
save_file(model.state_dict(), folder / "weights.safetensors")
np.savez(folder / "net.npz", images=images.numpy(), answers=model(images).detach().numpy())
