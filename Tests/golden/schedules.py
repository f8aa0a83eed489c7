"""schedules.py: learning-rate courses of PyTorch's schedulers, for the recipes that mean the same.

Every tensor holds the rates of EPOCHS x STEPS steps; its recipe, in Renga's options, stands in the metadata under the same name.
"""

import numpy as np
import torch
from torch.optim import lr_scheduler as lr

EPOCHS, STEPS, RATE = 6, 7, 0.4
TOTAL = EPOCHS * STEPS


def course(make, per_epoch=False):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    scheduler = make(optimizer)
    rates = []
    for step in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step + 1 < TOTAL and (not per_epoch or (step + 1) % STEPS == 0):
            scheduler.step()
    return np.array(rates, np.float32)


def behind_warmup(optimizer, epochs, start, make):
    steps = int(epochs * STEPS)
    warmup = lr.LinearLR(optimizer, start_factor=start, total_iters=steps)
    return lr.SequentialLR(optimizer, [warmup, make(TOTAL - steps)], [steps])


def tables():
    """(tensors, metadata)"""
    recipes = {
        "constant": ("schedule=constant", lambda o: lr.LambdaLR(o, lambda _: 1.0), False),
        "step": ("schedule=step,step_epochs=2,decay=0.3", lambda o: lr.StepLR(o, 2 * STEPS, 0.3), False),
        "step_per_epoch": (
            "schedule=step,step_epochs=2,decay=0.3,per_epoch=yes", lambda o: lr.StepLR(o, 2, 0.3), True),
        "multistep": (
            "schedule=multistep,first_drop=0.5,second_drop=0.75,third_drop=0.9,decay=0.2",
            lambda o: lr.MultiStepLR(o, [TOTAL // 2, round(TOTAL * 0.75), round(TOTAL * 0.9)], 0.2), False),
        "cosine": (
            "schedule=cosine,floor=0.05", lambda o: lr.CosineAnnealingLR(o, TOTAL, eta_min=0.05 * RATE), False),
        "cosine_per_epoch": ("schedule=cosine,per_epoch=yes", lambda o: lr.CosineAnnealingLR(o, EPOCHS), True),
        "cosine_warmup": (
            "schedule=cosine,warmup_epochs=2,warmup_start=0.1",
            lambda o: behind_warmup(o, 2, 0.1, lambda rest: lr.CosineAnnealingLR(o, rest)), False),
        "onecycle": (
            "schedule=onecycle,rise=0.3,divisor=25", lambda o: lr.OneCycleLR(o, RATE, total_steps=TOTAL), False),
        "onecycle_early": (
            "schedule=onecycle,rise=0.1,divisor=5",
            lambda o: lr.OneCycleLR(o, RATE, total_steps=TOTAL, pct_start=0.1, div_factor=5), False),
    }
    tensors = {name: course(make, per_epoch) for name, (_, make, per_epoch) in recipes.items()}
    metadata = {name: f"learning_rate={RATE},{text}" for name, (text, _, _) in recipes.items()}
    return tensors, {**metadata, "epochs": str(EPOCHS), "steps": str(STEPS), "torch": torch.__version__}
