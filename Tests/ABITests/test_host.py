"""What the library may not do to its host: signals, threads, locale, OpenMP, memory, other libraries. Each in a process of its own, because
a host's state cannot be put back."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap

import abi
import conftest

HERE = pathlib.Path(__file__).parent

# What every host begins with; /proc/self tells what changed.
PRELUDE = """
import ctypes, os, sys
sys.path.insert(0, {here!r})
def proc(name):
    for line in open("/proc/self/status"):
        if line.startswith(name + ":"):
            return line.split(":")[1].strip()
def threads():
    return len(os.listdir("/proc/self/task"))
"""

# A network, a session with `threads`, images, and a run.
SESSION = """
import abi, conftest
renga = abi.Renga()
network = renga.made("network_create", b"resnet", b"depth=8,input=32x32x3", 1)
images, scores = conftest.noise(4 * 3072), (ctypes.c_float * 40)()
source = abi.source(images, 4, 32, 32, 3)
def run(session):
    renga.session_run(session, ctypes.byref(source), scores, 40, 0)
    return bytes(scores)
"""


def host(body, session=True, **environment):
    """Runs a host; its exit must be clean. Returns what it printed."""
    script = PRELUDE.format(here=str(HERE)) + (SESSION if session else "") + textwrap.dedent(body)
    variables = {**os.environ, "RENGA_LIBRARY": str(abi.LIBRARY), **environment}
    child = subprocess.run([sys.executable, "-X", "faulthandler", "-c", script], capture_output=True, text=True, timeout=300, check=False,
                           env=variables)
    assert child.returncode == 0, child.stdout + child.stderr
    return child.stdout


def test_signals_are_left_alone():
    host("""
        def signals():
            # 32 and 33 are glibc's own, for threads: any thread's start takes them.
            return [int(proc(name), 16) & ~(3 << 31) for name in ("SigCgt", "SigBlk", "SigIgn")]
        before = signals()
        import abi
        renga = abi.Renga()
        assert signals() == before, "loading changed a signal"
        """ + textwrap.indent(SESSION, " " * 8) + """
        session = renga.session(network, batch=4, threads=2)
        run(session)
        assert signals() == before, "running changed a signal"
    """, session=False)


def test_never_more_threads_than_asked_for():
    host("""
        assert threads() == 1, "loading starts threads"
        one = renga.session(network, batch=4, threads=1)
        run(one)
        assert threads() == 1, "one thread is more than one"
        two = renga.session(network, batch=4, threads=2)
        for _ in range(20):
            run(two)
            assert threads() <= 2, threads()
        run(one)
        assert threads() <= 2
    """)


def test_training_keeps_to_its_threads():
    """One is one; with two, one more fills the next batch while a step runs, as renga.h says. None is left behind."""
    host("""
        pixels, labels = conftest.stripes(48)
        train = renga.made("dataset_create", ctypes.byref(abi.source(pixels, 48, 8, 8, 1)), labels, 3)
        small = renga.made("network_create", b"cnn", conftest.CNN, 1)
        for count in (1, 2):
            trainer = renga.made("trainer_create", small, b"epochs=2,batch=12", count)
            most = []
            def look(progress, _):
                most.append(threads())
                return 0
            renga.trainer_fit(trainer, train, None, None, abi.ProgressFn(look), None)
            renga.trainer_free(trainer)
            assert max(most) <= {1: 1, 2: 3}[count], (count, most)
            assert threads() <= count
    """)


def test_the_default_follows_affinity_and_environment():
    body = "import abi\nprint(abi.Renga().default_threads())\n"
    assert host(body, session=False, RENGA_NUM_THREADS="1", OMP_NUM_THREADS="2").strip() == "1"
    assert host(body, session=False, OMP_NUM_THREADS="1").strip() == "1"
    assert host("os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n" + body, session=False).strip() == "1"
    assert int(host(body, session=False)) <= len(os.sched_getaffinity(0))


def test_the_environment_lowers_the_instruction_set():
    """RENGA_ISA forces a lower set; a higher one than this processor's, or no set's name, changes nothing. All sets agree."""
    def answers(isa):
        return json.loads(host("""
            import json
            run(renga.session(network, batch=4, threads=2))
            print(json.dumps([json.loads(renga.text("runtime_info"))["isa"], list(scores)]))
        """, RENGA_ISA=isa))

    order = ("reference", "generic", "avx2", "avx512", "avx512_bf16", "amx")
    best, expected = answers("no such set")
    for isa in order:
        used, scores = answers(isa)
        assert used == min(isa, best, key=order.index)
        assert conftest.close(scores, expected, 1e-4), isa


def test_locale_and_directory_and_environment_are_left_alone():
    host("""
        import locale
        locale.setlocale(locale.LC_ALL, "C.UTF-8")
        os.umask(0o027)
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_char_p
        def state():
            return (locale.setlocale(locale.LC_ALL), os.getcwd(), proc("Umask"),
                    [getenv(name) for name in (b"OMP_NUM_THREADS", b"OMP_WAIT_POLICY", b"OPENBLAS_NUM_THREADS", b"LC_ALL")])
        before = state()
        session = renga.session(network, batch=4, threads=2)
        run(session)
        renga.text("network_describe", network, 1)
        assert state() == before, (before, state())
    """)


def test_openmp_settings_are_left_alone():
    """The host's own OpenMP runtime may be the same one: its settings before and after are equal, in another thread too."""
    host("""
        omp = ctypes.CDLL("libomp.so.5", mode=ctypes.RTLD_GLOBAL)
        omp.omp_set_num_threads(5)
        names = ("omp_get_max_threads", "omp_get_dynamic", "omp_get_nested", "omp_get_max_active_levels", "omp_get_thread_limit")
        before = [getattr(omp, name)() for name in names]
        session = renga.session(network, batch=4, threads=2)
        run(session)
        assert [getattr(omp, name)() for name in names] == before
        assert omp.omp_get_max_threads() == 5
    """)


def test_numbers_do_not_follow_the_locale():
    host("""
        import json, locale, subprocess
        for name in subprocess.run(["locale", "-a"], capture_output=True, text=True).stdout.split():
            try:
                locale.setlocale(locale.LC_ALL, name)
            except locale.Error:
                continue
            trainer = renga.made("trainer_create", network, b"learning_rate=0.125,epochs=1", 1)
            assert json.loads(renga.text("trainer_history", trainer))["recipe"]["learning_rate"] == "0.125"
            renga.trainer_free(trainer)
    """)


def test_a_child_after_fork_runs_too():
    host("""
        session = renga.session(network, batch=4, threads=2)
        expected = run(session)
        for _ in range(3):
            child = os.fork()
            if child == 0:
                own = renga.session(network, batch=4, threads=2)
                os._exit(0 if run(session) == expected and run(own) == expected else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert run(session) == expected
    """)


def test_load_run_unload_again_and_again():
    host("""
        import _ctypes
        import abi, conftest
        for turn in range(5):
            renga = abi.Renga()
            network = renga.made("network_create", b"cnn", conftest.CNN, 1)
            session = renga.session(network, batch=1, threads=2)
            scores = (ctypes.c_float * 3)()
            renga.session_run(session, ctypes.byref(abi.source(conftest.noise(64), 1, 8, 8, 1)), scores, 3, 0)
            renga.session_free(session)
            renga.network_free(network)
            _ctypes.dlclose(renga.library._handle)
    """, session=False)


def test_memory_stays_flat_over_ten_thousand_runs():
    """Sessions made, run and freed as well: nothing is kept. 1 MiB is the noise of the allocator."""
    host("""
        small = renga.made("network_create", b"cnn", conftest.CNN, 1)
        session = renga.session(small, batch=2, threads=2)
        images, scores = conftest.noise(128), (ctypes.c_float * 6)()
        sources = [abi.source(images, n, 8, 8, 1) for n in (1, 2)]
        def calls(count):
            for turn in range(count):
                renga.session_run(session, ctypes.byref(sources[turn % 2]), scores, 6, 0)
                if turn % 50 == 0:
                    own = renga.session(small, threads=1)
                    renga.session_free(own)
                    renga.network_free(renga.made("network_clone", small))
                    renga.text("network_describe", small, 1)
                    renga.status("network_create", b"nothing", None, 1, ctypes.byref(ctypes.c_void_p()))
        def resident():
            return int(proc("VmRSS").split()[0])
        calls(1000)
        before = resident()
        calls(10000)
        assert resident() - before < 1024, (before, resident())
    """)


SCIENCE = """
        import numpy
        from sklearn.linear_model import LogisticRegression
        from sklearn.cluster import KMeans
        def science():
            dice = numpy.random.default_rng(1)
            x = dice.standard_normal((300, 12))
            y = (x[:, 0] + x[:, 1] > 0).astype(int)
            assert LogisticRegression().fit(x, y).score(x, y) > 0.9
            KMeans(3, n_init=2, random_state=1).fit(x)
            return float(numpy.linalg.svd(x, compute_uv=False)[0])
"""
OURS = """
        session = renga.session(network, batch=4, threads=2)
        expected = run(session)
"""


def test_beside_numpy_and_scikit_learn_in_both_orders():
    """scikit-learn brings an OpenMP runtime of its own (libgomp); both work, whoever comes first, and by turns in threads."""
    both = """
        import threading
        wrong = []
        def ours():
            for _ in range(10):
                if run_own() != expected:
                    wrong.append("other bits")
        def run_own():
            own = (ctypes.c_float * 40)()
            renga.session_run(session, ctypes.byref(source), own, 40, 0)
            return bytes(own)
        thread = threading.Thread(target=ours)
        thread.start()
        for _ in range(3):
            assert abs(science() - first) < 1e-9
        thread.join()
        assert not wrong
    """
    host(SCIENCE + "        first = science()\n" + textwrap.indent(SESSION, " " * 8) + OURS + both, session=False)
    host(OURS + SCIENCE + "        first = science()\n" + both)


def test_nothing_is_printed():
    """Success, failure, training: no word on stdout or stderr."""
    script = PRELUDE.format(here=str(HERE)) + SESSION + textwrap.dedent("""
        session = renga.session(network, batch=4, threads=2)
        run(session)
        renga.status("network_load", b"/nothing", ctypes.byref(ctypes.c_void_p()))
        pixels, labels = conftest.stripes(24)
        train = renga.made("dataset_create", ctypes.byref(abi.source(pixels, 24, 8, 8, 1)), labels, 3)
        trainer = renga.made("trainer_create", renga.made("network_create", b"cnn", conftest.CNN, 1), b"epochs=1,batch=12", 2)
        renga.trainer_fit(trainer, train, None, None, abi.ProgressFn(), None)
    """)
    child = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120, check=True,
                           env={**os.environ, "RENGA_LIBRARY": str(abi.LIBRARY)})
    assert (child.stdout, child.stderr) == (b"", b"")


def test_the_library_keeps_its_bounds():
    """Size, exported symbols, dependencies, SONAME, stack: what .ci/check-library looks at."""
    checked = subprocess.run([str(abi.ROOT / ".ci" / "check-library"), str(abi.LIBRARY)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_library_calls_nothing_that_ends_or_changes_its_host():
    symbols = subprocess.run(["nm", "-D", "--undefined-only", str(abi.LIBRARY)], capture_output=True, text=True, check=True).stdout
    called = {line.split()[-1].split("@")[0] for line in symbols.splitlines()}
    # abort, exit and signal functions are the Swift runtime's own (traps, its switched-off crash handler); ours are looked for by .ci/lint.
    assert called.isdisjoint({"omp_set_num_threads", "omp_set_dynamic", "setlocale", "chdir", "fork", "system", "puts", "printf"}), called
