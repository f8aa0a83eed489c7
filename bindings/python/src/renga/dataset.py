"""Labelled images: from arrays, IDX or CIFAR folders, `.npz` archives, folders of images by class.

The library reads IDX and CIFAR itself; the other two are read here (images need Pillow) and handed over. Not here:
augmentation and normalisation, which belong to the trainer.
"""

from __future__ import annotations

import ctypes
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import F32Array, I32Array, as_images, as_labels, layout_code, pointer, source
from ._errors import CorruptData, FileError, InvalidArgument, ShapeMismatch, Unsupported
from ._handle import Handle
from ._library import call, encode, encode_path
from ._options import MAX_EXTENT, whole

#: Where Debian's dataset-fashion-mnist puts its files.
FASHION_MNIST_FOLDER = "/usr/share/datasets/fashion-mnist"
#: The names of its ten classes, in the order of their numbers.
FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}


class Dataset(Handle):
    """Labelled images in memory. Trainers keep what they need of it, so it may be closed while they live.

    Slicing (`data[:1000]`, step 1) gives a set of its own that shares the memory. Threads: as `Handle`.
    """

    _free_function = "renga_dataset_free"
    _noun = "data set"

    def __init__(
        self,
        images: npt.ArrayLike,
        labels: npt.ArrayLike,
        *,
        classes: int | None = None,
        class_names: Sequence[str] = (),
        layout: str = "nhwc",
    ) -> None:
        """Copies images `[N,H,W,C]` (with layout "nchw" `[N,C,H,W]`; `[N,H,W]` for one channel), u8 or f32, and labels
        `[N]`.

        classes: None = the number of `class_names`, or else the largest label + 1.
        """
        array = as_images(images, "images")
        code = layout_code(layout)
        if array.ndim == 3:
            array = array[..., None] if code == _abi.NHWC else array[:, None]
        if array.ndim != 4 or array.shape[0] == 0:
            raise ShapeMismatch(f"images has shape {list(array.shape)}; expected [N,H,W,C] with at least one image")
        numbers = as_labels(labels, array.shape[0])
        if classes is None:
            classes = len(class_names) or int(numbers.max()) + 1
        if class_names and len(class_names) != classes:
            raise InvalidArgument(f"there are {len(class_names)} class names for {classes} classes")
        described = source(array, code)
        out = ctypes.c_void_p()
        count = whole(classes, "classes", 1, MAX_EXTENT)
        call("renga_dataset_create", ctypes.byref(described), pointer(numbers), count, ctypes.byref(out))
        super().__init__(out)
        self._names = tuple(class_names)

    @classmethod
    def open(cls, path: str | os.PathLike[str], part: str = "train") -> Dataset:
        """From a folder with the IDX files of MNIST's naming (also .gz) or the binary files of CIFAR-10/100. part:
        "train" or "test".
        """
        out = ctypes.c_void_p()
        call("renga_dataset_open", encode_path(path), encode(part, "part"), ctypes.byref(out))
        opened = cls._wrap(out)
        if os.path.normpath(path) == FASHION_MNIST_FOLDER:  # its files carry no names
            opened._names = FASHION_MNIST_CLASSES
        return opened

    @classmethod
    def open_idx(cls, images: str | os.PathLike[str], labels: str | os.PathLike[str]) -> Dataset:
        """From one IDX image file and one IDX label file."""
        out = ctypes.c_void_p()
        call("renga_dataset_open_idx", encode_path(images), encode_path(labels), ctypes.byref(out))
        return cls._wrap(out)

    @classmethod
    def open_npz(cls, path: str | os.PathLike[str], part: str = "train") -> Dataset:
        """From an `.npz` with `x_train, y_train, x_test, y_test` (and `class_names`, if it likes). No pickled objects
        are read.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                missing = [key for key in (f"x_{part}", f"y_{part}") if key not in archive]
                if missing:
                    raise CorruptData(
                        f"{os.fspath(path)} has no {' and no '.join(missing)}; it holds: {', '.join(archive.files)}"
                    )
                names = [str(name) for name in archive["class_names"]] if "class_names" in archive else []
                classes = 1 + max(int(archive[key].max(initial=0)) for key in ("y_train", "y_test") if key in archive)
                return cls(archive[f"x_{part}"], archive[f"y_{part}"], classes=len(names) or classes, class_names=names)
        except OSError as error:
            raise (
                error if isinstance(error, FileError) else FileError(f"{os.fspath(path)} could not be read: {error}")
            ) from None
        except (zipfile.BadZipFile, EOFError) as error:
            raise CorruptData(f"{os.fspath(path)} is no .npz archive: {error}") from None

    @classmethod
    def open_images(
        cls, path: str | os.PathLike[str], *, size: tuple[int, int] | None = None, channels: int = 3
    ) -> Dataset:
        """From a folder with one folder of images for each class, classes in the order of their names.

        Every image is read as `channels` (1 grey, 3 RGB) u8 and scaled to `size` `(H, W)`; None: the first image's
        size. Needs Pillow.
        """
        folder = Path(path)
        names = sorted(child.name for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []
        files = [(label, file) for label, name in enumerate(names) for file in _image_files(folder / name)]
        if not files:
            raise FileError(f"{folder} has no folders of images (one for each class)")
        images = [_read_image(files[0][1], size, channels)]
        shape = images[0].shape[:2]
        images += [_read_image(file, (shape[0], shape[1]), channels) for _, file in files[1:]]
        return cls(np.stack(images), np.array([label for label, _ in files]), classes=len(names), class_names=names)

    def _info(self) -> tuple[tuple[int, int, int, int], int]:
        shape, classes = _abi.Shape(), ctypes.c_int32()
        with self._in_use() as handle:
            call("renga_dataset_info", handle, ctypes.byref(shape), ctypes.byref(classes))
        return shape.as_tuple(), classes.value

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """`(N, H, W, C)`."""
        return self._info()[0]

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self._info()[1]

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def class_names(self) -> list[str]:
        """The names of the classes; empty when the set knows none."""
        given = getattr(self, "_names", ())
        if given:
            return list(given)
        found = []
        with self._in_use() as handle:
            for label in range(self.classes):
                name = ctypes.c_char_p()
                call("renga_dataset_class_name", handle, label, ctypes.byref(name))
                found.append((name.value or b"").decode("utf-8", "replace"))
        return found if all(found) else []

    def take(self, begin: int, count: int) -> Dataset:
        """Images [begin, begin + count) as a set of their own; they share memory."""
        out = ctypes.c_void_p()
        first, wanted = whole(begin, "begin", 0, MAX_EXTENT), whole(count, "count", 0, MAX_EXTENT)
        with self._in_use() as handle:
            call("renga_dataset_take", handle, first, wanted, ctypes.byref(out))
        made = self._wrap(out)
        made._names = getattr(self, "_names", ())
        return made

    def __getitem__(self, index: slice) -> Dataset:
        if not isinstance(index, slice):
            raise TypeError("a data set is sliced, data[a:b]; images() and labels() give single ones")
        begin, end, step = index.indices(len(self))
        if step != 1:
            raise InvalidArgument(f"a data set is sliced with step 1, not {step}")
        return self.take(begin, max(0, end - begin))

    def images(self, begin: int = 0, count: int | None = None) -> F32Array:
        """A copy of images [begin, begin + count) as f32 `[count,H,W,C]`: 0 to 255 for u8 sets, as given for f32."""
        n, h, w, c = self.shape
        count = max(0, n - begin) if count is None else count
        first, wanted = whole(begin, "begin", 0, MAX_EXTENT), whole(count, "count", 0, max(0, n - begin))
        values = np.empty((wanted, h, w, c), dtype=np.float32)
        with self._in_use() as handle:
            call("renga_dataset_get", handle, first, wanted, pointer(values), values.size, None, 0)
        return values

    def labels(self, begin: int = 0, count: int | None = None) -> I32Array:
        """A copy of labels [begin, begin + count) as int32."""
        n = len(self)
        count = max(0, n - begin) if count is None else count
        first, wanted = whole(begin, "begin", 0, MAX_EXTENT), whole(count, "count", 0, max(0, n - begin))
        values = np.empty(wanted, dtype=np.int32)
        with self._in_use() as handle:
            call("renga_dataset_get", handle, first, wanted, None, 0, pointer(values), values.size)
        return values

    def __repr__(self) -> str:
        if self.closed:
            return "<renga.Dataset closed>"
        n, h, w, c = self.shape
        return f"<renga.Dataset {n:,} images of {h}x{w}x{c}, {self.classes} classes>"


def _image_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in _IMAGE_ENDINGS and file.is_file())


def _read_image(path: Path, size: tuple[int, int] | None, channels: int) -> npt.NDArray[np.uint8]:
    """`[H,W,channels]` of one file, scaled to `size` when given."""
    try:
        from PIL import Image
    except ImportError:
        raise Unsupported("folders of images need Pillow: pip install pillow") from None
    if channels not in (1, 3):
        raise InvalidArgument(f"channels is {channels}; expected 1 (grey) or 3 (RGB)")
    try:
        with Image.open(path) as opened:
            image: Any = opened.convert("L" if channels == 1 else "RGB")
            if size is not None and image.size != (size[1], size[0]):
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(image, dtype=np.uint8).reshape(image.size[1], image.size[0], channels)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptData(f"{path} could not be read as an image: {error}") from None


def _split_folders(path: Path) -> dict[str, Path] | None:
    """`train` and `test` (or `val`) folders of class folders, or None."""
    train = path / "train"
    if not (train.is_dir() and any(child.is_dir() for child in train.iterdir())):
        return None
    test = next((path / name for name in ("test", "val", "validation") if (path / name).is_dir()), None)
    if test is None:
        raise FileError(f"{path} has a folder train but no folder test or val")
    return {"train": train, "test": test}


def open_part(
    spec: str | os.PathLike[str], part: str, *, size: tuple[int, int] | None = None, channels: int = 3
) -> Dataset:
    """The `train` or `test` part of a set named as on the command line.

    spec: "fashion-mnist" (Debian's package), an IDX or CIFAR folder, an `.npz`, or a folder of images by class: with
    `train` and `test` (or `val`) inside it, or without, where every fifth image of a class is its test part.
    size, channels: of folders of images, as in `Dataset.open_images`.
    """
    if part not in ("train", "test"):
        raise InvalidArgument(f"part is {part!r}; known: 'train', 'test'")
    if os.fspath(spec) == "fashion-mnist":
        if not Path(FASHION_MNIST_FOLDER).is_dir():
            raise FileError("Fashion-MNIST is not on this machine: install the Debian package dataset-fashion-mnist")
        return Dataset.open(FASHION_MNIST_FOLDER, part)
    path = Path(spec)
    if not path.exists():
        raise FileError(f"{path} does not exist; a set is 'fashion-mnist', a folder or an .npz file")
    if path.suffix == ".npz":
        return Dataset.open_npz(path, part)
    if not path.is_dir():
        raise FileError(f"{path} is no folder and no .npz file")
    split = _split_folders(path)
    if split is not None:
        return Dataset.open_images(split[part], size=size, channels=channels)
    if any(child.is_dir() and _image_files(child) for child in path.iterdir()):
        return _every_fifth(Dataset.open_images(path, size=size, channels=channels), part)
    return Dataset.open(path, part)


def _every_fifth(whole_set: Dataset, part: str) -> Dataset:
    """The test part: images 4, 9, 14, … of each class; the train part: the rest."""
    labels = whole_set.labels()
    rank = np.empty_like(labels)
    for label in range(whole_set.classes):
        mine = labels == label
        rank[mine] = np.arange(int(mine.sum()))
    chosen = (rank % 5 == 4) == (part == "test")
    if not chosen.any():
        raise FileError("the folder has too few images for a test part: at least five in one class")
    images = whole_set.images()[chosen].astype(np.uint8)
    return Dataset(images, labels[chosen], classes=whole_set.classes, class_names=whole_set.class_names)
