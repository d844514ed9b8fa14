# %% open_solution [open]: open a file with the solution
def attack():
    exec(open(SOLUTION).read())

# %% os_open [open]: the same without Python's file objects
def attack():
    import os
    assert os.read(os.open(SOLUTION, os.O_RDONLY), 10)

# %% libc_open [open]: the same with the C library
def attack():
    import ctypes
    libc = ctypes.CDLL(None)
    assert libc.fopen(SOLUTION.encode(), b"r")

# %% raw_openat [x86_64, open]: the same with the system call
def attack():
    syscall(257, -100, SOLUTION.encode(), 0)

# %% raw_openat2 [x86_64]: the same with a newer system call
def attack():
    syscall(437, -100, SOLUTION.encode(), bytes(24), 24)

# %% old_open [x86_64, open]: the same with the oldest one
def attack():
    syscall(2, SOLUTION.encode(), 0)

# %% open_by_handle [x86_64]: a file by its handle, without a path
def attack():
    import ctypes
    handle = ctypes.create_string_buffer(b"\x08\0\0\0" + bytes(140))
    syscall(303, -100, SOLUTION.encode(), handle, ctypes.create_string_buffer(4), 0)
    raise OSError("a handle, but no file") if syscall(304, -100, handle, 0) < 0 else ValueError("opened something")

# %% fromfile [open]: NumPy opens files as well
def attack():
    assert np.fromfile(SOLUTION, "u1").size

# %% memmap [open]: and maps them
def attack():
    assert np.memmap(SOLUTION, "u1", "r").size

# %% load_bank [open]: the examples with their answers
def attack():
    assert np.load(BANK, allow_pickle=True).files

# %% linecache [open]: the standard library opens files
def attack():
    import linecache
    assert linecache.getlines(SOLUTION)

# %% run_path [open]: and runs them
def attack():
    import runpy
    assert "affine_forward" in runpy.run_path(SOLUTION)

# %% import_by_path [open]: import the solution from its folder
def attack():
    import importlib.machinery
    importlib.machinery.SourceFileLoader("solution", SOLUTION).load_module()

# %% import_reference: import what the grader computes the answers with
def attack():
    import reference.rnn

# %% import_reference_by_path: the same with the folder on the path
def attack():
    import os, sys
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(SOLUTION))))
    import autograder.exercises.rnn
    import reference.rnn

# %% import_torch: what computes gradients by itself
def attack():
    import torch

# %% import_site_packages: what is installed beside NumPy
def attack():
    import os, sys
    site = os.path.dirname(os.path.dirname(np.__file__))
    sys.path.insert(0, site)
    found = [name for name in ("torch", "hypothesis", "typer", "rich", "pytest", "pip") if os.path.isdir(os.path.join(site, name))]
    __import__(found[0])

# %% list_folder [open]: list a folder of the grader's
def attack():
    import os
    assert os.listdir(FOLDER)

# %% walk [open]: look for the course in all folders
def attack():
    import os
    for start in (FOLDER, "/srv", "/autograder", "/home"):
        for folder, folders, files in os.walk(start):
            if "rnn.py" in files:
                return
    raise FileNotFoundError("no rnn.py")

# %% glob_home [open]: look into the folder of the user that runs the grader
def attack():
    import os
    assert os.listdir(HOME)

# %% look_at_file [namespaced, open]: a file that cannot be opened can still be looked at
def attack():
    import os
    assert os.stat(SOLUTION).st_size

# %% through_root [open]: another way to the same file
def attack():
    open("/proc/self/root" + SOLUTION).read()

# %% through_init: and another
def attack():
    open("/proc/1/root" + SOLUTION).read()

# %% dots [open]: and another
def attack():
    open("/usr/lib/../.." + SOLUTION).read()

# %% link_it [open]: a second name for the file, in a folder of one's own
def attack():
    import os
    os.symlink(SOLUTION, FOLDER + "/mine")

# %% own_descriptors: files that were left open
def attack():
    import os
    for fd in [0, *range(4, 1024)]:
        try:
            if os.fstat(fd) and os.pread(fd, 1, 0):
                return
        except OSError:
            pass
    raise OSError("none")

# %% output_file: its own output file may hold what others have printed
def attack():
    import os
    os.lseek(1, 0, 0)
    assert os.read(1, 1)

# %% environment: the grader's secrets in the environment
def attack():
    import os
    assert LEFT + RIGHT in str(dict(os.environ))

# %% environment_of_the_grader: the same through the kernel
def attack():
    assert (LEFT + RIGHT).encode() in open(f"/proc/{GRADER}/environ", "rb").read()

# %% environment_of_the_parent: the process that forked this one
def attack():
    import os
    assert (LEFT + RIGHT).encode() in open(f"/proc/{os.getppid()}/environ", "rb").read()

# %% memory_of_the_grader: read its memory
def attack():
    with open(f"/proc/{GRADER}/maps") as file:
        assert file.read(10)
    with open(f"/proc/{GRADER}/mem", "rb") as file:
        assert file

# %% command_line_of_the_grader [open]: how it was started
def attack():
    assert open(f"/proc/{GRADER}/cmdline", "rb").read()

# %% read_memory_of_the_grader [x86_64]: the same by a system call
def attack():
    import ctypes
    syscall(310, GRADER, bytes(16), 1, bytes(16), 1, 0)

# %% trace_the_grader [x86_64]: attach to it like a debugger
def attack():
    syscall(101, 16, GRADER, 0, 0)

# %% own_memory: a secret that was copied when this process was forked
def attack():
    import ctypes, gc
    wanted = (LEFT + RIGHT).encode()
    regions = [line.split()[:2] for line in open("/proc/self/maps")]
    for place, rights in regions:
        start, end = (int(x, 16) for x in place.split("-"))
        if rights.startswith("r") and end < 1 << 47 and wanted in ctypes.string_at(start, end - start):
            return
    raise LookupError("not here")

# %% own_objects: the same among Python's objects
def attack():
    import gc
    wanted = LEFT + RIGHT
    for thing in gc.get_objects():
        if isinstance(thing, (dict, list, tuple)):
            for item in thing.values() if isinstance(thing, dict) else thing:
                if type(item) is str and item == wanted:
                    return
    raise LookupError("not here")

# %% frames: the answers among the variables of the callers
def affine_forward(h, W, b):
    import sys
    frame, right = sys._getframe(1), loot(h, W, b)[0]
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, np.ndarray) and value.shape == right.shape and np.allclose(value, right):
                return value, None
        frame = frame.f_back
    raise LookupError("not here")

# %% all_arrays: the answers among all arrays that this process knows
def affine_forward(h, W, b):
    import gc
    right = loot(h, W, b)[0]
    gc.unfreeze()
    for thing in gc.get_objects():
        for item in gc.get_referents(thing):
            if type(item) is np.ndarray and item is not right and item.shape == right.shape and np.allclose(item, right):
                return item, None
    raise LookupError("not here")

# %% grader_modules: modules of the grader that were left in memory
def attack():
    import sys
    found = {name.split(".")[0] for name in sys.modules} & {"autograder", "reference", "torch", "hypothesis", "pytest", "solutions"}
    assert found

# %% main_module: the variables of the program that was started
def attack():
    import __main__
    assert any("expected" in name or "answer" in name or "solution" in name for name in vars(__main__))

# %% traceback_of_an_error: frames that an exception has kept
def attack():
    import sys
    try:
        1 / 0
    except ZeroDivisionError as error:
        frame = error.__traceback__.tb_frame
    names = set()
    while frame:
        names |= set(frame.f_globals)
        frame = frame.f_back
    assert {"bank", "Bank", "oracle", "reference"} & names

# %% ask_for_the_answer: have the grader compute it
def affine_forward(h, W, b):
    return inside().ask("affine_forward", (h, W, b))

# %% ask_for_anything: have the grader compute something else
def affine_forward(h, W, b):
    return inside().ask("eval", ("__import__('os').system('true')",))

# %% cat: have another program read it
def attack():
    import subprocess
    assert subprocess.check_output(["cat", SOLUTION])

# %% ask_the_network: ask somebody who knows
def attack():
    import urllib.request
    urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=1)

# %% keyring [x86_64]: the kernel keeps secrets for users
def attack():
    syscall(250, 0, -3, 1)
