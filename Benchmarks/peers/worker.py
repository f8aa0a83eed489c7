"""One engine, one work, one process: prints `ready {json}`, then for each line read runs once and prints milliseconds; `end` prints peak bytes.

Usage: worker.py renga|torch|onnxruntime WORK THREADS, or worker.py export WORK (ONNX to standard output).
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from works import WORKS, Work

RENGA_OPTIONS = {
    "resnet20": dict(depth=20),
    "resnet56": dict(depth=56),
    "resnet50": dict(depth=50, block="bottleneck", shortcut="project", stem="imagenet", classes=1000, input="224x224x3"),
}


def batch(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """The same random images [N,H,W,C] and labels for every engine."""
    draw = np.random.default_rng(0)
    images = draw.standard_normal((work.batch, work.size, work.size, 3), dtype=np.float32)
    return images, draw.integers(0, 10, work.batch).astype(np.int32)


def renga_run(work: Work, threads: int) -> Callable[[], None]:
    import renga

    images, labels = batch(work)
    network = renga.Network.create("resnet", seed=0, **RENGA_OPTIONS[work.network])
    if work.train:
        recipe = dict(batch=work.batch, learning_rate=0.01, momentum=0.9, nesterov="yes", weight_decay=1e-4)
        trainer = renga.Trainer(network, threads=threads, **recipe)
        return lambda: trainer.step(images, labels)
    session = renga.Session(network, batch=work.batch, threads=threads)
    out = session.run(images)
    return lambda: session.run(images, out=out)


def torch_run(work: Work, threads: int) -> Callable[[], None]:
    import torch
    import torch_networks

    torch.set_num_threads(threads)
    images, labels = batch(work)
    network = torch_networks.make(work.network).to(memory_format=torch.channels_last)
    x = torch.from_numpy(images).permute(0, 3, 1, 2)  # NHWC memory seen as NCHW: channels_last without a copy
    if not work.train:
        network.eval()

        def infer() -> None:
            with torch.inference_mode():
                network(x)

        return infer
    target = torch.from_numpy(labels).long()
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, weight_decay=1e-4, nesterov=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(network(x), target)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def onnxruntime_run(work: Work, threads: int) -> Callable[[], None]:
    import onnxruntime

    # Exported by a process of its own: PyTorch's memory is not ONNX Runtime's.
    model = subprocess.run([sys.executable, __file__, "export", sys.argv[2]], stdout=subprocess.PIPE, check=True).stdout
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x = np.ascontiguousarray(batch(work)[0].transpose(0, 3, 1, 2))
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)


def export(work: Work) -> None:
    """Writes the work's network as ONNX to standard output."""
    import torch
    import torch_networks

    model = io.BytesIO()
    example = torch.zeros(work.batch, 3, work.size, work.size)
    torch.onnx.export(torch_networks.make(work.network).eval(), (example,), model, dynamo=False, opset_version=17)
    sys.stdout.buffer.write(model.getvalue())


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    if sys.argv[1] == "export":
        export(WORKS[sys.argv[2]])
        return
    engine, name, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    run = {"renga": renga_run, "torch": torch_run, "onnxruntime": onnxruntime_run}[engine](WORKS[name], threads)
    before = peak_bytes()
    run()
    print("ready", json.dumps({"peak_before_first_run": before}), flush=True)
    for line in sys.stdin:
        if line.strip() == "end":
            print(peak_bytes(), flush=True)
            return
        start = time.perf_counter()
        run()
        print((time.perf_counter() - start) * 1e3, flush=True)


if __name__ == "__main__":
    main()
