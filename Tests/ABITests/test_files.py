"""Files from outside: truncated, flipped, empty, foreign, folders, full disks, read-only places. Reading is all or nothing; a failed save leaves
what stood there."""

import contextlib
import ctypes
import gzip
import json
import os
import pathlib
import random
import struct
import subprocess
import sys

import pytest

import abi
import calls
from abi import Failure
from conftest import stripes

REFUSALS = (abi.ERROR_CORRUPT_DATA, abi.ERROR_UNSUPPORTED, abi.ERROR_NOT_FOUND)


@pytest.fixture
def saved(renga, network, tmp_path):
    path = tmp_path / "network.renga"
    renga.network_save(network, str(path).encode())
    return path


def load_bytes(renga, data, path):
    """The status of loading bytes, and of a session from a file of them, which is the same; what loads is freed."""
    out, session = ctypes.c_void_p(1), ctypes.c_void_p(1)
    status = renga.status("network_load_memory", data, len(data), ctypes.byref(out))
    if status == abi.OK:
        renga.network_free(out)
    else:
        assert out.value is None and len(renga.message()) > 10
    path.write_bytes(data)
    assert renga.status("session_load", str(path).encode(), None, ctypes.byref(session)) == status
    if status == abi.OK:
        renga.session_free(session)
    else:
        assert session.value is None and len(renga.message()) > 10
    return status


def test_save_and_load_keep_every_bit(renga, network, saved):
    loaded = renga.made("network_load", str(saved).encode())
    assert renga.weights(loaded) == renga.weights(network)
    assert renga.text("network_get_metadata", loaded, b"renga.architecture") == "cnn"
    from_memory = renga.made("network_load_memory", saved.read_bytes(), saved.stat().st_size)
    assert renga.weights(from_memory) == renga.weights(network)
    renga.network_free(loaded)
    renga.network_free(from_memory)


def test_the_file_is_plain_safetensors(saved):
    data = saved.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    assert tensors and all(entry["dtype"] == "F32" for entry in tensors)
    assert max(entry["data_offsets"][1] for entry in tensors) == len(data) - 8 - length


def test_truncated_at_every_length(renga, saved, tmp_path):
    data, path = saved.read_bytes(), tmp_path / "other"
    lengths = set(range(0, 64)) | {len(data) - n for n in range(1, 64)} | set(range(0, len(data), 97))
    for length in sorted(lengths):
        assert load_bytes(renga, data[:length], path) in REFUSALS, f"{length} of {len(data)} bytes load"


def test_every_flipped_bit_is_found(renga, saved, tmp_path):
    data, path = bytearray(saved.read_bytes()), tmp_path / "other"
    dice = random.Random(11)
    places = list(range(0, 200)) + [dice.randrange(len(data)) for _ in range(600)]
    for place in places:
        bit = 1 << dice.randrange(8)
        data[place] ^= bit
        assert load_bytes(renga, bytes(data), path) in REFUSALS, f"bit {bit} of byte {place} flipped and not found"
        data[place] ^= bit
    assert load_bytes(renga, bytes(data), path) == abi.OK


def test_foreign_bytes(renga, tmp_path):
    for data in (b"", b"\0" * 8, b"\xff" * 64, b"PK\x03\x04" + b"x" * 100, struct.pack("<Q", 2**63) + b"{}", struct.pack("<Q", 2) + b"{}",
                 struct.pack("<Q", 2**40) + b"{", struct.pack("<Q", 100) + b"[" * 100, os.urandom(4096)):
        assert load_bytes(renga, data, tmp_path / "other") in REFUSALS


@pytest.mark.parametrize("call", ["network_load", "session_load", "trainer_resume"])
def test_paths_that_are_no_network(renga, tmp_path, call):
    empty = tmp_path / "empty"
    empty.touch()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, statuses in ((empty, REFUSALS), (tmp_path, (abi.ERROR_FILE,)), (tmp_path / "nothing", (abi.ERROR_FILE,)),
                           (pathlib.Path("/dev/zero"), (abi.ERROR_FILE, abi.ERROR_CORRUPT_DATA)), (fifo, (abi.ERROR_FILE,)),
                           (empty / "below", (abi.ERROR_FILE,)), (pathlib.Path("/" + "x" * 5000), (abi.ERROR_FILE, abi.ERROR_INVALID_ARGUMENT))):
        arguments = {"trainer_resume": (1,), "session_load": (None,)}.get(call, ())
        with pytest.raises(Failure) as failure:
            renga.made(call, str(path).encode(), *arguments)
        assert failure.value.status in statuses and len(failure.value.message) > 10


def refuses_to_save(renga, handle, path, call="network_save"):
    """Saving fails with RENGA_ERROR_FILE and a sentence that names the path."""
    with pytest.raises(Failure) as failure:
        getattr(renga, call)(handle, str(path).encode())
    assert failure.value.status == abi.ERROR_FILE and path.name in failure.value.message


@contextlib.contextmanager
def small_disk(tmp_path):
    """A folder, on a tmpfs of 64 KiB where this process may mount one (root); and whether it is: a file size limit stands in where not."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True).returncode == 0
    try:
        yield folder, mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


# What a child does whose files may not grow beyond 16 KiB: the kernel's answer is EFBIG, and a full disk's ENOSPC takes the same way.
LIMITED = """
import ctypes, resource, signal, sys
sys.path.insert(0, sys.argv[1])
import abi
renga = abi.Renga()
network = renga.made("network_create", b"resnet", b"depth=8", 1)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))
sys.exit(0 if renga.status("network_save", network, sys.argv[2].encode()) == abi.ERROR_FILE else 1)
"""


def test_full_disk_leaves_the_old_file(renga, saved, tmp_path):
    big = renga.made("network_create", b"resnet", b"depth=8", 1)
    with small_disk(tmp_path) as (folder, mounted):
        target = folder / "network.renga"
        target.write_bytes(saved.read_bytes())
        before = target.read_bytes(), sorted(path.name for path in folder.iterdir())
        if mounted:
            refuses_to_save(renga, big, target)
        else:
            child = subprocess.run([sys.executable, "-c", LIMITED, str(pathlib.Path(__file__).parent), str(target)], check=False)
            assert child.returncode == 0
        assert (target.read_bytes(), sorted(path.name for path in folder.iterdir())) == before
    renga.network_free(big)


def test_targets_that_cannot_be_written(renga, network, saved, tmp_path):
    refuses_to_save(renga, network, tmp_path / "no" / "such" / "folder")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "inside").touch()
    refuses_to_save(renga, network, folder)
    assert (folder / "inside").exists()
    refuses_to_save(renga, network, pathlib.Path("/proc/renga-cannot-write-here"))


def test_read_only_folder_leaves_the_old_file(renga, network, tmp_path):
    """Root may write anywhere that is not mounted read-only: the child that saves gives its rights away first."""
    folder = tmp_path / "fixed"
    folder.mkdir()
    target = folder / "network.renga"
    target.write_bytes(b"old")
    folder.chmod(0o555)
    target.chmod(0o444)
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.geteuid() and parent != pathlib.Path("/"):
            with contextlib.suppress(PermissionError):
                parent.chmod(parent.stat().st_mode | 0o055)
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        os._exit(0 if renga.status("network_save", network, str(target).encode()) == abi.ERROR_FILE else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    folder.chmod(0o755)
    assert target.read_bytes() == b"old" and [path.name for path in folder.iterdir()] == ["network.renga"]


def test_trainer_save_refuses_the_same(world):
    refuses_to_save(world.renga, world.trainer, world.folder / "no" / "folder", call="trainer_save")


# ---- data sets ----

def opens(renga, images, labels):
    out = ctypes.c_void_p(1)
    status = renga.status("dataset_open_idx", str(images).encode(), str(labels).encode(), ctypes.byref(out))
    if status == abi.OK:
        renga.dataset_free(out)
    else:
        assert out.value is None and len(renga.message()) > 10
    return status


def test_idx_files(renga, tmp_path):
    images, labels = calls.write_idx(tmp_path)
    assert opens(renga, images, labels) == abi.OK
    packed = tmp_path / "images.gz"
    packed.write_bytes(gzip.compress(images.read_bytes()))
    assert opens(renga, packed, labels) == abi.OK
    assert opens(renga, labels, images) in REFUSALS
    assert opens(renga, tmp_path, labels) == abi.ERROR_FILE
    assert opens(renga, tmp_path / "nothing", labels) == abi.ERROR_FILE


def test_broken_idx_files(renga, tmp_path):
    images, labels = calls.write_idx(tmp_path)
    whole, broken = images.read_bytes(), tmp_path / "broken"
    cases = [whole[:n] for n in (0, 1, 3, 4, 8, 15, 16, 17, len(whole) - 1)] + [whole + b"x"]
    # Counts and extents that lie: 0, huge, negative, overflowing.
    for place in (4, 8, 12):
        for number in (0, 2**31 - 1, 2**31, 2**32 - 1):
            cases.append(whole[:place] + struct.pack(">I", number) + whole[place + 4:])
    cases += [b"\x00\x00\x09\x03" + whole[4:], b"\x00\x00\x08\x04" + whole[4:], b"\x01\x00\x08\x03" + whole[4:]]
    packed = gzip.compress(whole)
    cases += [packed[:n] for n in (2, 10, 20, len(packed) - 4, len(packed) - 1)]
    cases.append(packed[:30] + bytes([packed[30] ^ 0xFF]) + packed[31:])
    for case in cases:
        broken.write_bytes(case)
        assert opens(renga, broken, labels) in REFUSALS, case[:24]


def test_folders(renga, tmp_path):
    with pytest.raises(Failure, match="IDX.*CIFAR") as failure:
        renga.made("dataset_open", str(tmp_path).encode(), b"train")
    assert failure.value.status == abi.ERROR_NOT_FOUND
    calls.write_idx(tmp_path)
    with pytest.raises(Failure, match="known: train, test"):
        renga.made("dataset_open", str(tmp_path).encode(), b"valid")
    assert renga.status("dataset_open", str(tmp_path / "nothing").encode(), b"train", ctypes.byref(ctypes.c_void_p())) in (
        abi.ERROR_FILE, abi.ERROR_NOT_FOUND)


def test_broken_cifar_files(renga, tmp_path):
    record = bytes([3]) + bytes(range(256)) * 12
    target = tmp_path / "test_batch.bin"
    target.write_bytes(record * 4)
    dataset = renga.made("dataset_open", str(tmp_path).encode(), b"test")
    shape, classes = abi.Shape(), ctypes.c_int32()
    renga.dataset_info(dataset, ctypes.byref(shape), ctypes.byref(classes))
    assert shape.extents() == (4, 32, 32, 3) and classes.value == 10
    renga.dataset_free(dataset)
    for broken in (b"", record[:-1], record + b"x", bytes([10]) + record[1:], bytes([255]) + record[1:]):
        target.write_bytes(broken)
        with pytest.raises(Failure) as failure:
            renga.made("dataset_open", str(tmp_path).encode(), b"test")
        assert failure.value.status == abi.ERROR_CORRUPT_DATA


def test_dataset_values(renga):
    pixels, labels = stripes(48)
    dataset = renga.made("dataset_create", ctypes.byref(abi.source(pixels, 48, 8, 8, 1)), labels, 3)
    part = renga.made("dataset_take", dataset, 10, 5)
    shape = abi.Shape()
    renga.dataset_info(part, ctypes.byref(shape), None)
    assert shape.extents() == (5, 8, 8, 1)
    whole, piece = (ctypes.c_float * (48 * 64))(), (ctypes.c_float * (5 * 64))()
    labels = (ctypes.c_int32 * 48)()
    renga.dataset_get(dataset, 0, 48, whole, len(whole), labels, 48)
    renga.dataset_free(dataset)
    renga.dataset_get(part, 0, 5, piece, len(piece), None, 0)
    assert list(piece) == list(whole)[10 * 64:15 * 64] and list(labels)[:4] == [0, 1, 2, 0]
    for begin, count in ((0, 6), (5, 1), (-1, 2), (0, 0), (2**63 - 1, 2**63 - 1), (4, 2**63 - 1)):
        assert renga.status("dataset_get", part, begin, count, piece, len(piece), None, 0) == abi.ERROR_INVALID_ARGUMENT
    assert renga.status("dataset_get", part, 0, 5, piece, len(piece) - 1, None, 0) == abi.ERROR_SHAPE_MISMATCH
    renga.dataset_free(part)


def test_labels_and_numbers_are_checked(renga):
    floats, labels = (ctypes.c_float * 8)(), (ctypes.c_int32 * 2)(0, 1)
    source = abi.source(floats, 2, 2, 2, 1)

    def status(classes):
        return renga.status("dataset_create", ctypes.byref(source), labels, classes, ctypes.byref(ctypes.c_void_p()))

    assert status(0) == status(-1) == abi.ERROR_INVALID_ARGUMENT
    assert status(1) == abi.ERROR_INVALID_ARGUMENT and "image 1" in renga.message()
    labels[1] = -1
    assert status(3) == abi.ERROR_INVALID_ARGUMENT
    labels[1] = 2
    floats[5] = float("nan")
    assert status(3) == abi.ERROR_NOT_FINITE and "image 1" in renga.message()
