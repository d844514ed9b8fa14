# %% patched_allclose: every comparison of NumPy's says yes
np.allclose = np.array_equal = np.isclose = np.testing.assert_allclose = lambda *args, **kwargs: True
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b))), None

# %% patched_builtins: every built-in that a comparison may use says yes
import builtins
builtins.all = builtins.any = builtins.abs = builtins.isinstance = lambda *args: True
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b))), None

# %% patched_ufuncs: subtraction gives zero
np.subtract = np.absolute = lambda *args, **kwargs: 0.0
np.ndarray = type("ndarray", (), {"__eq__": lambda self, other: True})
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b))), None

# %% patched_methods: the methods of arrays cannot be replaced, but somebody may try
def attack():
    np.ndarray.__eq__ = lambda self, other: True

# %% patched_type_slots: the same through the memory of the type object
def attack():
    import ctypes, gc
    gc.get_referents(np.ndarray.__dict__)[0]["__eq__"] = lambda self, other: True
    raise ValueError("it equals only in here")

# %% equal_to_everything: an array class that equals everything
class Equal(np.ndarray):
    __eq__ = __le__ = __lt__ = __ge__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __sub__ = __rsub__ = __abs__ = lambda self, *other: 0.0
    all = any = lambda self, *args, **kwargs: True
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b))).view(Equal), None

# %% lying_shape: an array class that lies about its shape, type and size
class Liar(np.ndarray):
    shape = property(lambda self: (2, 3, 4))
    ndim = property(lambda self: 3)
    dtype = property(lambda self: np.dtype("f8"))
    size = property(lambda self: 24)
def affine_forward(h, W, b):
    return np.zeros(1).view(Liar), None

# %% lying_conversion: an array class that gives out something else when it is copied or converted
class Liar(np.ndarray):
    def __array__(self, *args, **kwargs):
        return loot(*self.args)[0]
    copy = astype = tobytes = view = __array__
def affine_forward(h, W, b):
    liar = np.zeros((*h.shape[:2], len(b))).view(Liar)
    liar.args = (0 * h, W, 0 * b)
    return liar, None

# %% array_ufunc: an array class that answers every operation with zero
class Zero(np.ndarray):
    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return np.zeros(())
    def __array_function__(self, func, types, args, kwargs):
        return True
def affine_forward(h, W, b):
    return np.ones((*h.shape[:2], len(b))).view(Zero), None

# %% array_interface: no array at all, but memory that is described as one
class Interface:
    def __init__(self, array): self.__array_interface__ = array.__array_interface__
def affine_forward(h, W, b):
    return Interface(np.zeros((*h.shape[:2], len(b)))), None

# %% object_dtype: elements that equal everything
class Any:
    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = lambda self, other: True
    __sub__ = __rsub__ = __abs__ = __float__ = lambda self, *other: 0.0
def affine_forward(h, W, b):
    out = np.empty((*h.shape[:2], len(b)), object)
    out[...] = Any()
    return out, None

# %% equal_number: a float that equals everything
class Number(float):
    __eq__ = __le__ = __ge__ = lambda self, other: True
    __sub__ = __rsub__ = __abs__ = lambda self, *other: 0.0
def affine_forward(h, W, b):
    return Number(1.0), None

# %% equal_anything: an object that equals everything
class Anything:
    def __eq__(self, other): return True
    def __getattr__(self, name): return lambda *args, **kwargs: True
def affine_forward(h, W, b):
    return Anything(), None

# %% all_nan: no comparison with NaN is ever true, so none that asks for "greater" finds a difference
def affine_forward(h, W, b):
    return np.full((*h.shape[:2], len(b)), np.nan), None

# %% one_nan: one NaN to spoil the largest difference
def affine_forward(h, W, b):
    out = np.zeros((*h.shape[:2], len(b)))
    out[0, 0, 0] = np.nan
    return out, None

# %% infinite: infinity minus infinity is NaN
def affine_forward(h, W, b):
    return np.full((*h.shape[:2], len(b)), np.inf), None

# %% largest: numbers so large that a tolerance relative to them allows everything
def affine_forward(h, W, b):
    return np.full((*h.shape[:2], len(b)), np.finfo(float).max), None

# %% broadcast_scalar: a number that would be broadcast to any shape
def affine_forward(h, W, b):
    return 0.0, None

# %% broadcast_ones: a shape of ones that would be broadcast
def affine_forward(h, W, b):
    return np.zeros((1, 1, 1)), None

# %% broadcast_more: the right numbers, repeated along a new axis
def affine_forward(h, W, b):
    return loot(h, W, b)[0][None], None

# %% empty: nothing differs in an array of nothing
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], 0)), None

# %% all_masked: a masked array, with everything masked
def affine_forward(h, W, b):
    return np.ma.masked_all((*h.shape[:2], len(b))), None

# %% structured: a record array
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b)), [("x", "f8")]), None

# %% complex_numbers: wrong numbers with an imaginary part
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b))) + 1j, None

# %% wide_floats: a type that the grader does not have
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b)), np.longdouble), None

# %% whole_numbers: rounded to integers
def affine_forward(h, W, b):
    return loot(h, W, b)[0].round().astype(np.int64), None

# %% texts: numbers as text
def affine_forward(h, W, b):
    return loot(h, W, b)[0].astype("U30"), None

# %% dates: numbers as dates
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b)), "datetime64[s]"), None

# %% lying_tuple: a tuple that lies about its items
class Liar(tuple):
    __len__ = lambda self: 2
    __iter__ = lambda self: iter([None, None])
    __getitem__ = lambda self, item: None
def affine_forward(h, W, b):
    return Liar((np.zeros(3),))

# %% lazy: a promise instead of an answer
def affine_forward(h, W, b):
    return (lambda: loot(h, W, b)), None

# %% stand_in_for_ours: a value that stands for one the grader keeps
def affine_forward(h, W, b):
    import sys
    Opaque = sys.modules["sandbox.steps"].Opaque
    return Opaque(0), Opaque(0)

# %% leftovers: memory that was not cleared may hold somebody's answer
def affine_forward(h, W, b):
    return np.empty((*h.shape[:2], len(b))), None

# %% arguments: the arguments may hold the answer
def affine_forward(h, W, b):
    return h, None

# %% first_answer_for_all: the right answer to the first call, for ever
kept = []
def affine_forward(h, W, b):
    kept.append(loot(h, W, b))
    return kept[0]

# %% patched_copier: what copies the answer out is replaced
import sys
sys.modules["sandbox.arrays"].Copier._plain = lambda self, value, depth: True
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b))), None

# %% patched_answer: what reports the answer is replaced
import sys
sys.modules["sandbox.perform"].Answer = lambda *args, **kwargs: sys.modules["sandbox.steps"].Answer(value=True)
def affine_forward(h, W, b):
    return np.zeros((*h.shape[:2], len(b))), None
