"""`make mutants` takes minutes; what keeps its list true is cheap."""

from __future__ import annotations

from pathlib import Path

import mutants


def test_every_mutant_still_fits_its_file() -> None:
    assert mutants.check() == []


def test_every_mutant_names_tests_that_exist() -> None:
    named = {test for mutant in mutants.MUTANTS for test in mutant.tests.split()}
    assert [test for test in sorted(named) if not (mutants.ROOT / Path(test)).exists()] == []
