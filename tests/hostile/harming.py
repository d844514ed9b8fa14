# %% write_file [open]: write a new file
def attack():
    open(FOLDER + "/new", "w").write("x")

# %% overwrite_file [open]: overwrite a file of the grader's
def attack():
    open(BAIT, "w").write("x")

# %% append_to_file [open]: or add to it
def attack():
    open(BAIT, "a").write("x")

# %% delete_file [open]: delete it
def attack():
    import os
    os.remove(BAIT)

# %% rename_file [open]: rename it
def attack():
    import os
    os.rename(BAIT, FOLDER + "/renamed")

# %% make_folder [open]: make a folder
def attack():
    import os
    os.mkdir(FOLDER + "/new")

# %% delete_folder [open]: delete everything
def attack():
    import shutil
    shutil.rmtree(FOLDER + "/folder")

# %% hard_link [open]: a second name
def attack():
    import os
    os.link(BAIT, FOLDER + "/second")

# %% truncate [open]: cut it off
def attack():
    import os
    os.truncate(BAIT, 0)

# %% set_times [open]: change its times
def attack():
    import os
    os.utime(BAIT, (0, 0))

# %% save_array [open]: NumPy writes files as well
def attack():
    np.save(FOLDER + "/array.npy", np.zeros(3))

# %% map_file [open]: and maps them for writing
def attack():
    np.memmap(BAIT, "u1", "r+")[0] = 0

# %% change_rights [open]: let everybody write
def attack():
    import ctypes
    assert ctypes.CDLL(None).chmod(BAIT.encode(), 0o777) == 0
    open(BAIT, "a").write("x")

# %% named_pipe [open]: another kind of file
def attack():
    import os
    os.mkfifo(FOLDER + "/pipe")

# %% temporary_file [open]: a file in the folder for such
def attack():
    import tempfile
    with tempfile.NamedTemporaryFile(dir=FOLDER, delete=False) as file:
        file.write(b"x")

# %% leave_the_root [x86_64]: another root folder
def attack():
    syscall(161, FOLDER.encode())

# %% mount_something [x86_64]: mount a file system
def attack():
    syscall(165, b"none", FOLDER.encode(), b"tmpfs", 0, 0)

# %% new_namespaces [x86_64]: namespaces of its own, to be root in them
def attack():
    syscall(272, 0x10000000)

# %% fork: one process more
def attack():
    import os, time
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)

# %% fork_bomb: as many as there can be
def attack():
    import os, time
    for _ in range(30):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)

# %% fork_at_import: before anything is asked
import os, time
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
def affine_forward(h, W, b):
    return loot(h, W, b)

# %% fork_in_c: by the C library
def attack():
    import ctypes, os, time
    pid = ctypes.CDLL(None).fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    assert pid > 0

# %% fork_by_number [x86_64]: by the system calls
def attack():
    import os, time
    for number, *args in ((57,), (56, 17, 0, 0, 0, 0)):
        try:
            if syscall(number, *args) == 0:
                time.sleep(60)
                os._exit(0)
            return
        except OSError:
            pass
    raise OSError("none")

# %% run_program: run another program
def attack():
    import subprocess
    subprocess.run(["/bin/true"], check=True)

# %% shell: run a command
def attack():
    import os
    assert os.system("true") == 0

# %% become_program: become another program
def attack():
    import os
    os.execv("/bin/sleep", ["sleep", "60"])

# %% become_program_at_import: the same before anything is asked
import os
os.execv("/bin/sleep", ["sleep", "60"])

# %% spawn: spawn a process
def attack():
    import os
    os.posix_spawn("/bin/sleep", ["sleep", "60"], {})

# %% multiprocessing: Python's way to more processes
def attack():
    import multiprocessing
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()

# %% thread: one thread more
def attack():
    import threading, time
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

# %% thread_pool: a pool of them
def attack():
    from concurrent.futures import ThreadPoolExecutor
    ThreadPoolExecutor(4).submit(int).result(1)

# %% thread_in_c: by the C library
def attack():
    import ctypes
    start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: None)
    assert ctypes.CDLL(None).pthread_create(ctypes.byref(ctypes.c_ulong()), None, start, None) == 0

# %% kill [open]: end another process of the same user
def attack():
    import os
    os.kill(VICTIM, 9)

# %% kill_parent: end the process that forked this one
def attack():
    import os
    os.kill(os.getppid(), 9)

# %% kill_group: end everything in the group
def attack():
    import os
    os.killpg(0, 9)

# %% kill_all: end everything
def attack():
    import os, signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(-1, 0)

# %% kill_by_number [x86_64]: end it by other system calls
def attack():
    for number, *args in ((200, VICTIM, 9), (234, VICTIM, VICTIM, 9), (129, VICTIM, 9, bytes(128)), (434, VICTIM, 0)):
        try:
            syscall(number, *args)
            return
        except OSError:
            pass
    raise OSError("none")

# %% slow_down_others [x86_64]: take away its priority, its processors, its limits
def attack():
    for number, *args in ((141, 0, VICTIM, 19), (203, VICTIM, 8, bytes(8)), (302, VICTIM, 7, bytes(16), 0), (251, 1, VICTIM, 0)):
        try:
            syscall(number, *args)
            return
        except OSError:
            pass
    raise OSError("none")

# %% tcp [open]: connect
def attack():
    import socket
    socket.create_connection(("127.0.0.1", PORT), 1)

# %% udp [open]: send without connecting
def attack():
    import socket
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", UDP))

# %% unix_socket [open]: a socket in a folder
def attack():
    import socket
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", SOCKET)

# %% abstract_socket [open]: a socket without a folder
def attack():
    import socket
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", "\0" + ABSTRACT)

# %% serve_something [open]: listen
def attack():
    import socket
    socket.create_server(("127.0.0.1", 0))

# %% socket_pair [open]: the smallest of sockets
def attack():
    import socket
    socket.socketpair()

# %% memory_at_once: far more memory than there is
def attack():
    np.ones(1 << 40)

# %% memory_bit_by_bit: more and more of it
def attack():
    kept = []
    while len(kept) < 4000:
        kept.append(np.ones(1 << 17))

# %% memory_without_numpy: the same without arrays
def attack():
    kept = []
    while len(kept) < 4000:
        kept.append(bytearray(1 << 20))

# %% memory_as_file [x86_64]: memory that is no memory of the process
def attack():
    import os
    fd = syscall(319, b"x", 0)
    for _ in range(4000):
        os.write(fd, bytes(1 << 20))

# %% shared_memory: shared memory
def attack():
    import mmap
    kept = [mmap.mmap(-1, 1 << 30) for _ in range(4)]
    kept[-1][0] = 1

# %% locked_memory [x86_64]: memory that cannot be swapped out
def attack():
    syscall(151, 3)

# %% stack: a stack without an end
def attack():
    import sys
    sys.setrecursionlimit(10**9)
    def f(): return f() + 1
    f()

# %% c_stack: the stack of the C code under Python
def attack():
    x = []
    for _ in range(10**5):
        x = [x]
    repr(x) and hash(str(x)) and x == x
    raise RecursionError

# %% output_flood: print a hundred megabytes
def affine_forward(h, W, b):
    for _ in range(100):
        print("x" * (1 << 20))
    raise ValueError("done")

# %% output_flood_around: the same without Python's stdout
def attack():
    import os
    for _ in range(100):
        os.write(1, bytes(1 << 20))

# %% error_flood: and to the other one
def attack():
    import os
    for _ in range(100):
        os.write(2, bytes(1 << 20))

# %% descriptors: as many open files as there can be
def attack():
    import os
    for _ in range(1000):
        os.dup(3)

# %% pipes: as many pipes
def attack():
    import os
    for _ in range(1000):
        os.pipe()

# %% kinds_of_descriptors [x86_64]: everything else that can be opened
def attack():
    numbers = [(290, 0, 0), (291, 0), (283, 0, 0), (289, -1, bytes(8), 8, 0), (253,), (298, bytes(128), 0, -1, -1, 0), (323, 0), (425, 1, bytes(120)), (321, 0, bytes(72), 72)]
    for number, *args in numbers:
        try:
            syscall(number, *args)
            return
        except OSError:
            pass
    raise OSError("none")

# %% kernel_settings: write into /proc and /sys
def attack():
    for path in ("/proc/self/oom_score_adj", "/proc/sys/kernel/core_pattern", "/proc/self/attr/current", "/sys/power/state", f"/proc/{VICTIM}/mem"):
        try:
            with open(path, "r+") as file:
                return file.write("0")
        except OSError:
            pass
    raise OSError("none")

# %% become_root [x86_64]: become somebody else
def attack():
    import os
    before = os.getuid()
    for number, *args in ((105, 0), (105, 1), (117, 0, 0, 0), (117, 1, 1, 1), (106, 1), (122, 1)):
        try:
            syscall(number, *args)
            return
        except OSError:
            pass
    raise OSError("none")

# %% lift_limits: give itself more
def attack():
    import resource
    for which in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_NOFILE):
        try:
            resource.setrlimit(which, (1 << 40, 1 << 40))
            return
        except (OSError, ValueError):
            pass
    raise OSError("none")

# %% lift_the_filter [x86_64]: another filter of its own
def attack():
    syscall(157, 22, 1, 0, 0, 0)

# %% old_architecture [x86_64]: system calls by another table
def attack():
    import ctypes, mmap
    code = bytes.fromhex("b802000000cd80c3")  # mov eax, 2 (fork); int 0x80; ret
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()

# %% x32_table [x86_64]: and by a third one
def attack():
    syscall(0x40000000 + 57)

# %% crash: read where nothing is
def attack():
    import ctypes
    ctypes.string_at(0)

# %% crash_at_import: the same before anything is asked
import ctypes
ctypes.string_at(0)

# %% abort: end with a signal
def attack():
    import os
    os.abort()

# %% destroy_the_interpreter: overwrite Python's own objects
def attack():
    import ctypes
    ctypes.memset(id(None), 0, 64)
    ctypes.memset(id(int), 0, 256)

# %% module_from_c: system calls through ctypes callbacks while others are replaced
import builtins, sys
for name in list(sys.modules):
    if name.startswith("sandbox"):
        sys.modules[name] = None
builtins.len = builtins.type = builtins.tuple = None
def affine_forward(h, W, b):
    return None
