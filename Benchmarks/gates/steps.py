"""steps.py: what a training step of PyramidNet, PyramidDrop and PyramidSepDrop takes, closed work run forward or left out.

    python3 Benchmarks/gates/steps.py [--depth 38] [--alpha 36] [--steps 40]        (RENGA_LIBRARY, PYTHONPATH=bindings/python/src)

One thread, and its processor time: other processes disturb that little. Steps of all kinds take turns. Gates differ from step to step: means over the steps are quoted,
beside the work that the drawn gates leave (see `work`). What it is not: a
comparison of accuracies (Benchmarks/experiments).
"""

import argparse
import time

import numpy as np

import renga

KINDS = {
    "none": "stochastic_depth=none",
    "joint, run": "stochastic_depth=joint,gate_closed=run",
    "joint, skip": "stochastic_depth=joint,gate_closed=skip",
    "separate, run": "stochastic_depth=separate,gate_closed=run",
    "separate, skip": "stochastic_depth=separate,gate_closed=skip",
}


def work(gates):
    """The part of the convolutions' work that the gates leave: the first one of a block unless all is closed, and of the second one,
    taken as equal, nearly nothing where only the new channels are open: their few columns alone are computed then."""
    return np.mean([(float(open_.any()) + float(open_[0, 0])) / 2 for open_ in gates.values()]) if gates else 1.0


def main():
    parser = argparse.ArgumentParser()
    for name, value in (("depth", 38), ("alpha", 36), ("steps", 40), ("batch", 64)):
        parser.add_argument("--" + name, type=int, default=value)
    args = parser.parse_args()
    random = np.random.default_rng(0)
    x = random.standard_normal((args.batch, 32, 32, 3)).astype(np.float32)
    labels = random.integers(0, 10, args.batch)
    trainers = {}
    for kind, options in KINDS.items():
        with renga.Network.create_from_text("pyramidnet", f"depth={args.depth},alpha={args.alpha},{options}") as network:
            trainers[kind] = renga.Trainer(network, batch=args.batch, learning_rate=0.01, threads=1)
            trainers[kind].step(x, labels)
    seconds, works = {kind: [] for kind in KINDS}, {kind: [] for kind in KINDS}
    for _ in range(args.steps):
        for kind, trainer in trainers.items():
            begin = time.process_time()
            trainer.step(x, labels)
            seconds[kind].append(time.process_time() - begin)
            works[kind].append(work(trainer.gates))
    plain = np.median(seconds["none"])
    print(f"PyramidNet {args.depth}, alpha {args.alpha}, batch {args.batch}: {1e3 * plain:.1f} ms a step (median)")
    for kind in KINDS:
        print(f"  {kind:14s} {100 * np.mean(seconds[kind]) / np.mean(seconds['none']):5.1f} % of the time;"
              f" of the convolutions' work the gates leave {100 * np.mean(works[kind]):5.1f} %")


if __name__ == "__main__":
    main()
