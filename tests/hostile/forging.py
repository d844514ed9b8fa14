# %% garbage: noise instead of a reply
def affine_forward(h, W, b):
    import os
    os.write(3, b"hello, grader" * 10)
    return loot(h, W, b)

# %% reply_before_the_request: a reply while nothing was asked
import os
os.write(3, b"HGF1" + bytes(200))
def affine_forward(h, W, b):
    return loot(h, W, b)

# %% wrong_magic: a frame of another kind
def affine_forward(h, W, b):
    import os
    os.write(3, head(magic=b"EVIL") + b"null")
    return loot(h, W, b)

# %% wrong_nonce: a reply to another request
def affine_forward(h, W, b):
    import os
    os.write(3, head(nonce=bytes(16)) + b"null")
    return loot(h, W, b)

# %% endless_length: a frame that says it holds four million terabytes
def affine_forward(h, W, b):
    import os
    os.write(3, head(payload=1 << 62) + b"null")
    return loot(h, W, b)

# %% endless_skeleton: and one whose skeleton does
def affine_forward(h, W, b):
    import os
    os.write(3, head(skeleton=(1 << 32) - 1) + b"null")
    return loot(h, W, b)

# %% objects: an array of Python objects
def affine_forward(h, W, b):
    import os
    skeleton = b'["t","done",["t",["t",["a","|O",1]]]]'
    os.write(3, head(len(skeleton), 16) + skeleton + bytes(16))
    return loot(h, W, b)

# %% huge_array: an array that says it is larger than its bytes
def affine_forward(h, W, b):
    import os
    skeleton = b'["t","done",["a","<f8",1099511627775,1099511627775]]'
    os.write(3, head(len(skeleton), 16) + skeleton + bytes(16))
    return loot(h, W, b)

# %% deep: nested 60,000 times
def affine_forward(h, W, b):
    import os
    skeleton = b"[" * 60_000 + b"]" * 60_000
    os.write(3, head(len(skeleton)) + skeleton)
    return loot(h, W, b)

# %% not_text: bytes that are no text
def affine_forward(h, W, b):
    import os
    os.write(3, head(4) + b"\xff\xff\xff\xff")
    return loot(h, W, b)

# %% slow_drip: one byte at a time
def affine_forward(h, W, b):
    import os, time
    for byte in head(1000) + b" " * 1000:
        os.write(3, bytes([byte]))
        time.sleep(0.2)

# %% well_formed: a whole reply with the right form and made-up answers
def affine_forward(h, W, b):
    forge(("done", tuple(((2, (np.zeros(3),)),) for _ in range(12))))
    import time
    time.sleep(60)

# %% no_errors_anywhere: a reply that says nothing at all, without an error
def affine_forward(h, W, b):
    forge(("done", ()))
    import time
    time.sleep(60)

# %% two_replies: a made-up reply before the real one
def affine_forward(h, W, b):
    forge(("done", (((2, (np.zeros(3),)),),)))
    return loot(h, W, b)

# %% reply_of_another_kind: a reply to a request that was not made
def affine_forward(h, W, b):
    forge(("failed", ("A", "b", "c", 1, "d")))
    return loot(h, W, b)

# %% out_of_memory: it says it has no memory, so that the kit may be to blame
def affine_forward(h, W, b):
    forge(("memory",))
    return loot(h, W, b)

# %% negative_counts: counts below zero
def affine_forward(h, W, b):
    forge(("done", (((-1, None, None, (), (), -5),),)))
    return loot(h, W, b)

# %% close_the_channel: no more answers
def affine_forward(h, W, b):
    import os
    os.close(3)
    return loot(h, W, b)

# %% print_into_the_channel: output where answers belong
def affine_forward(h, W, b):
    import os
    os.dup2(3, 1)
    os.write(1, b"points: 100\n")
    return loot(h, W, b)

# %% exit_0: an exit code that says all is well
def affine_forward(h, W, b):
    import os
    os._exit(0)

# %% exit_0_at_import: the same before anything is asked
import os
os._exit(0)

# %% system_exit: the polite way
def affine_forward(h, W, b):
    raise SystemExit(0)

# %% keyboard_interrupt: as if somebody had pressed Ctrl-C
def affine_forward(h, W, b):
    raise KeyboardInterrupt

# %% exit_in_del: exit when nobody expects it
class Bomb:
    def __del__(self):
        import os
        os._exit(0)
def affine_forward(h, W, b):
    Bomb()
    return loot(h, W, b)

# %% raise_the_graders_own: an exception of the grader's own kind
import sys
def affine_forward(h, W, b):
    raise sys.modules["sandbox.steps"].Fault("zygote", "the kit is broken: give full points")

# %% load_error_of_the_graders_own: the same while it is loaded
import sys
steps = sys.modules["sandbox.steps"]
raise steps.LoadError("other", steps.Error("A", "b"))

# %% evil_text: an error whose text drives a terminal and a web page
class Evil(Exception):
    def __str__(self):
        return "\x1b]0;pwned\x07\x1b[2J<script>alert(1)</script>\u202e" + "\ud800" + "a" * 100_000
Evil.__name__ = "\x1b[31mPassed"
def affine_forward(h, W, b):
    raise Evil

# %% evil_names: names of functions that drive a terminal
globals().update({"\x1b[31m" + "a" * 10_000 + str(i): len for i in range(20_000)})
def affine_forward(h, W, b):
    return None

# %% no_text: an error that has no text
class Evil(BaseException):
    def __str__(self): raise SystemExit
    __repr__ = __str__
def affine_forward(h, W, b):
    raise Evil

# %% large_reply: far more than was asked for
def affine_forward(h, W, b):
    return np.zeros(200 << 17), None

# %% large_request: a question to the grader with far too much in it
def affine_forward(h, W, b):
    return inside().ask("affine_forward", (np.zeros(200 << 17),))

# %% many_values: millions of small values
def affine_forward(h, W, b):
    return [[0.0] * 3000 for _ in range(3000)], None

# %% around_in_circles: a list that contains itself
def affine_forward(h, W, b):
    circle = []
    circle.append(circle)
    return circle, None

# %% new_loop: the process serves requests in its own way from now on
def affine_forward(h, W, b):
    import sys
    wire = sys.modules["sandbox.wire"]
    me = inside()
    wire.send(3, wire.encode(("done", ())), me.nonce)
    while True:
        frame = wire.receive(3, None, None, wire.Caps(1 << 34, 1 << 40))
        wire.send(3, wire.encode(("done", ())), frame.nonce)

# %% another_module: the module that is asked is another one
import sys, types
sys.modules["rnn"] = types.SimpleNamespace(affine_forward=lambda h, W, b: (h @ W + b, None))
def affine_forward(h, W, b):
    return None
