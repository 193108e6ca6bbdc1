"""What tile code does not have: every refusal names file, line and codelet, and says what to write instead."""

import pytest

from poplar_py.codelet import Library
from poplar_py.codelet.batch import Signature, rewritten
from poplar_py.dtypes import FLOAT, INT
from poplar_py.errors import CodeletError, FileLoadError, UnknownVertexType

HEAD = "class C(Codelet):\n    x = Input(VECTOR)\n    y = Output(VECTOR)\n    def compute(x, y):\n"


@pytest.mark.parametrize(
    "body, message",
    [
        ("try:\n    y[0] = 1\nexcept ValueError:\n    pass", "no try"),
        ("with x:\n    pass", "no with"),
        ("t = [v for v in range(3)]", "write a loop"),
        ("t = {1: 2}", "no dictionaries"),
        ("t = 'text'", "no str values"),
        ("y[0] = x", "one element"),
        ("y[0] = x + x", "operate on its elements in a loop"),
        ("x[0] = 1", "'x' is an Input and cannot be written"),
        ("y[0] = q", "knows no 'q'"),
        ("y[0] = expp(x[0])", "Did you mean 'exp'?"),
        ("y[0] = x[0.5]", r"write int\(0.5\)"),
        ("y[0] = np.float64(x[0])", "knows no|cannot call"),
        ("if x[0] > 0:\n    t = 1\ny[0] = t", "may have no value here"),
        ("return x[0]", "compute returns nothing"),
        ("y[0] = x[0] & 1", "works on whole numbers"),
        ("for i, j in x:\n    pass", "a loop counts one name"),
        ("assert x[0]", "no assert"),
        ("y = x", "is a field; write its elements"),
        ("y[0, 0] = 1", "has 1 axes"),
        ("y[0] = x.mean", r"\.size \.rows"),
    ],
)
def test_unsupported_code_is_refused_with_its_place(load, body, message):
    text = HEAD + "".join(f"        {line}\n" for line in body.splitlines())
    info = load(text, "mine.py")["C"]
    with pytest.raises(CodeletError, match=message) as caught:
        rewritten(Signature(info, {"x": FLOAT, "y": FLOAT}))
    assert str(caught.value).startswith("mine.py:") and "codelet C" in str(caught.value)
    assert int(str(caught.value).split(":")[1]) >= 5


@pytest.mark.parametrize(
    "text, message",
    [
        ("class C(Codelet)\n    pass\n", r"mine.py:2: expected ':'"),
        ("class C(Codelet):\n    x = Input()\n    def compute(z):\n        pass\n", "'z' that is no field"),
        ("class C(Codelet):\n    x = Input()\n    def compute(self, x):\n        pass\n", "Leave out `self`"),
        ("class C(Codelet):\n    x = Input()\n", "has no compute"),
        ("class C(Codelet):\n    x = Input('cube')\n    def compute(x):\n        pass\n", "cube"),
        (
            "class C(Codelet):\n    x = Input()\n    def compute(x):\n        pass\n    def cycles(x):\n        return 1\n",
            "takes `target` first",
        ),
        (
            "class C(Codelet):\n    x = Input()\n    def compute(x):\n        pass\nclass C(Codelet):\n    pass\n",
            "defined twice",
        ),
        ("y = 1 / 0\n", r"mine.py:2: ZeroDivisionError"),
        ("y = 1\n", "no codelet in it"),
    ],
)
def test_files_that_do_not_load(load, text, message):
    with pytest.raises(CodeletError, match=message) as caught:
        load(text, "mine.py")
    assert "mine.py" in str(caught.value)


def test_import_of_something_unknown_is_suggested():
    with pytest.raises(CodeletError, match="Did you mean 'VECTOR'"):
        Library().add_source("from poplar_py import VECTR\n", "mine.py")


ADD = "from poplar_py import *\nclass Add(Codelet):\n    x = Input()\n    def compute(x):\n        pass\n"


def test_one_name_in_two_files():
    library = Library()
    library.add_source(ADD, "one.py")
    with pytest.raises(CodeletError, match=r"codelet Add is in one.py and in two.py"):
        library.add_source(ADD + "\n# another\n", "two.py")


def test_a_users_codelet_stands_in_front_of_ours():
    library = Library.builtin().copy()
    library.add_source(ADD, "mine.py")
    assert library["Add"].is_user and list(library["Add"].fields) == ["x"]
    assert not library["::Add"].is_user and not Library.builtin()["Add"].is_user


def test_the_same_source_may_come_twice(load):
    text = "from poplar_py import *\nclass A(Codelet):\n    x = Input()\n    def compute(x):\n        pass\n"
    library = Library()
    assert library.add_source(text, "a.py") == library.add_source(text, "a.py")


def test_unknown_names():
    with pytest.raises(UnknownVertexType, match=r"no codelet 'Softmaxx'. Did you mean 'Softmax'\? Loaded: \d+"):
        Library.builtin()["Softmaxx"]
    with pytest.raises(FileLoadError, match="cannot read codelet file"):
        Library().add_file("/nowhere/at/all.py")


def test_recursion_is_refused(load):
    text = "def f(a):\n    return f(a)\n" + HEAD + "        y[0] = f(x[0])\n"
    with pytest.raises(CodeletError, match="calls itself"):
        rewritten(Signature(load(text)["C"], {"x": INT, "y": INT}))
