"""The list of mutants fits the kernels as they are; whether they die, `tests/mutants.py` says in half an hour."""

import pytest
from mutants import ANY_SOURCES, KERNELS, ROOT, listed

# How kernels are compiled shows in no number.
NOT_KERNELS = {"__init__", "compilation"}


def test_every_kernel_has_mutants():
    assert {path.stem for path in (ROOT / KERNELS).glob("*.py")} - NOT_KERNELS == {m.kernel for m in listed()}


@pytest.mark.parametrize("mutant", [*listed(), ANY_SOURCES], ids=lambda mutant: mutant.kernel)
def test_each_mutant_changes_one_place(mutant):
    source = (ROOT / KERNELS / f"{mutant.kernel}.py").read_text(encoding="utf-8")
    assert source.count(mutant.found) == 1
    assert mutant.changed != mutant.found
    compile(source.replace(mutant.found, mutant.changed), mutant.kernel, "exec")
