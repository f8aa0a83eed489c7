"""Trains a small residual network and asks it about images it has not seen.

Usage: train_and_run.py [SET], a set as on the command line; default: fashion-mnist (Debian's dataset-fashion-mnist).
"""

import sys

import renga

data = sys.argv[1] if len(sys.argv) > 1 else "fashion-mnist"
train, test = renga.open_part(data, "train"), renga.open_part(data, "test")

network = renga.Network.create("resnet", depth=8, classes=train.classes, input=train.shape[1:])
trainer = renga.Trainer(network, "fast", epochs=1)
trainer.fit(train, progress=lambda now: print(f"\r{now.batch}/{now.batches} loss {now.loss:.3f}", end="", flush=True))
print(f"\ntest accuracy {trainer.evaluate(test).accuracy:.1%}")

trainer.network().save("trained.safetensors")
session = renga.Session(renga.Network.load("trained.safetensors"), batch=5)
answers = session.run(test.images(0, 5).astype("uint8"))  # [5, classes]; uint8 is normalised as in training
names = train.class_names or [str(label) for label in range(train.classes)]
for label, answer in zip(test.labels(0, 5), answers.argmax(axis=1), strict=True):
    print("is", names[label], "- answered", names[answer])
