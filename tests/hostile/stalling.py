# %% loop: never come back
def attack():
    while True:
        pass

# %% loop_at_import: never be loaded
while True:
    pass

# %% sleep: wait without computing
def attack():
    import time
    time.sleep(1000)
    time.sleep(1000)

# %% sleep_at_import: the same while it is loaded
import time
time.sleep(1000)

# %% wait_for_nothing: wait for a lock
def attack():
    import threading
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

# %% deaf: ignore every signal that can be ignored
def attack():
    import signal
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    while True:
        pass

# %% catch_everything: no exception gets through
def attack():
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass

# %% one_operation: one operation that takes for ever
def attack():
    return 7 ** (10**9)

# %% one_pattern: and another
def attack():
    import re
    re.match(r"(a*)*b", "a" * 60)

# %% one_matrix_product: and one of NumPy's
def attack():
    x = np.ones((3000, 3000))
    while True:
        x = x @ x * 0

# %% slow_copy: it returns at once, and reading what it returned takes for ever
class Slow(list):
    def __iter__(self):
        while True:
            yield []
def affine_forward(h, W, b):
    return Slow([1]), None

# %% slow_error: the text of its error takes for ever
class Slow(Exception):
    def __str__(self):
        while True:
            pass
def affine_forward(h, W, b):
    raise Slow

# %% half_a_reply: it begins to answer and stops
def affine_forward(h, W, b):
    import os, time
    os.write(3, head(1000))
    time.sleep(1000)

# %% never_read: it leaves the next request unread
def affine_forward(h, W, b):
    forge(("done", ()))
    while True:
        pass

# %% ask_for_ever: one question after the other
def affine_forward(h, W, b):
    while True:
        try:
            inside().ask("affine_forward", (h, W, b))
        except Exception:
            pass

# %% patched_clocks: its own clocks stand still
import time
time.time = time.monotonic = time.perf_counter = time.process_time = time.thread_time = lambda: 0.0
def affine_forward(h, W, b):
    while True:
        pass

# %% count_down_the_alarm [x86_64]: timers that end the process before anybody looks
def attack():
    syscall(37, 1)
    while True:
        pass
