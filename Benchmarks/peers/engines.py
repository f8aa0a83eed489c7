"""How each engine does a row's work at its best settings: a function each that loads and returns the work to repeat.

The work returns the answers (inference, [N,classes]) or the loss (training). Not here: weights and files (models.py),
timing (worker.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

import models
import numpy as np
from rows import Row

Work = Callable[[], Any]
#: One learning rate without schedule, Nesterov momentum, weight decay on everything: the same step for both trainers.
RATE, MOMENTUM, DECAY = 0.01, 0.9, 1e-4


def renga(row: Row, threads: int) -> Work:
    import renga

    images = models.images(row.network, row.batch)
    precision = {} if row.precision == "f32" else {"precision": row.precision}
    file = models.path(row.network, "renga.safetensors")
    if row.kind in ("infer", "first"):
        session = renga.Session.load(file, batch=row.batch, threads=threads, **precision)
        return lambda: session.run(images)
    network, labels = renga.Network.load(file), models.labels(row.network, row.batch)
    recipe = dict(batch=row.batch, optimizer="sgd", learning_rate=RATE, schedule="constant", warmup_epochs=0)
    recipe |= dict(momentum=MOMENTUM, nesterov=True, weight_decay=DECAY, decay_norm=True, decay_bias=True)
    trainer = renga.Trainer(network, threads=threads, **recipe, **precision)
    network.close()
    return lambda: trainer.step(images, labels)[0]


def torch(row: Row, threads: int, compiled: bool = False) -> Work:
    import torch

    torch.set_num_threads(threads)
    # NHWC memory seen as NCHW: channels_last without a copy.
    x = torch.from_numpy(models.images(row.network, row.batch)).permute(0, 3, 1, 2)
    target = torch.from_numpy(models.labels(row.network, row.batch)).long()
    network = models.torch_network(row.network)
    if row.kind == "infer":
        network.eval()

        def infer() -> np.ndarray:
            with torch.inference_mode():
                return network(x).numpy()

        return infer
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True)
    run = torch.compile(network) if compiled else network
    autocast = torch.autocast("cpu", torch.bfloat16) if row.precision == "bf16" else contextlib.nullcontext()

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = torch.nn.functional.cross_entropy(run(x), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def torch_compile(row: Row, threads: int) -> Work:
    # What was compiled once is kept: a second run of the bench starts in seconds.
    folder = models.FOLDER / "inductor"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    for file in folder.glob("*/*.so"):  # cut short by an interruption: shorter than ELF's own header
        if file.stat().st_size < 64:
            file.unlink()
    return torch(row, threads, compiled=True)


def onnxruntime(row: Row, threads: int) -> Work:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    file = models.path(row.network, f"b{row.batch}.onnx")
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    feed = {"x": _nchw(row)}
    return lambda: session.run(None, feed)[0]


def openvino(row: Row, threads: int) -> Work:
    import openvino

    hints = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "ENABLE_HYPER_THREADING": True}
    hints |= {"INFERENCE_PRECISION_HINT": row.precision, "NUM_STREAMS": 1}
    model = openvino.Core().compile_model(models.path(row.network, f"b{row.batch}.onnx"), "CPU", hints)
    request = model.create_infer_request()
    x = openvino.Tensor(_nchw(row), shared_memory=True)
    return lambda: request.infer([x])[0]


def ncnn(row: Row, threads: int) -> Work:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.load_param(str(models.path(row.network, f"b{row.batch}.param")))
    net.load_model(str(models.path(row.network, f"b{row.batch}.bin")))
    images = _nchw(row)
    x = ncnn.Mat(images[0]).clone()  # from an array that lives: a Mat does not keep what it was made of

    def infer() -> np.ndarray:
        with net.create_extractor() as extractor:
            extractor.input("in0", x)
            return np.array(extractor.extract("out0")[1])[None]

    return infer


def mnn(row: Row, threads: int) -> Work:
    import MNN

    net = MNN.Interpreter(str(models.path(row.network, f"b{row.batch}.mnn")))
    session = net.createSession({"backend": "CPU", "numThread": threads, "precision": "normal"})
    x = _nchw(row)
    target, result = net.getSessionInput(session), net.getSessionOutput(session)
    given = MNN.Tensor(x.shape, MNN.Halide_Type_Float, x, MNN.Tensor_DimensionType_Caffe)
    target.copyFrom(given)
    net.runSession(session)
    zeros = np.zeros(result.getShape(), np.float32)
    found = MNN.Tensor(zeros.shape, MNN.Halide_Type_Float, zeros, MNN.Tensor_DimensionType_Caffe)

    def infer() -> np.ndarray:
        target.copyFrom(given)
        net.runSession(session)
        result.copyToHostTensor(found)
        return found.getNumpyData()

    return infer


def _nchw(row: Row) -> np.ndarray:
    return np.ascontiguousarray(models.images(row.network, row.batch).transpose(0, 3, 1, 2))


#: What must be made before an engine starts.
FILES: dict[str, tuple[str, ...]] = {
    "renga": ("renga",), "torch": (), "torch_compile": (), "onnxruntime": ("onnx",), "openvino": ("onnx",),
    "ncnn": ("ncnn",), "mnn": ("mnn",),
}  # fmt: skip
ENGINES: dict[str, Callable[[Row, int], Work]] = {
    engine.__name__: engine for engine in (renga, torch, torch_compile, onnxruntime, openvino, ncnn, mnn)
}
MODULES = {"torch_compile": "torch", "mnn": "MNN"}
