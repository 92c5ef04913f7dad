"""Runs beside each other have names that tell them apart."""

import pytest

from mdm.evaluation import against


@pytest.mark.parametrize(
    "paths, told",
    [
        (["/runs/a/run", "/runs/b/run"], ["a/run", "b/run"]),
        (["/x/a/run", "/y/a/run", "/y/b/run"], ["x/a/run", "y/a/run", "b/run"]),
        (["/a/run", "/x/a/run", "/z/x/a/run"], ["/a/run", "/x/a/run", "z/x/a/run"]),
        (["/x/a/run", "/x/a/run", "/x/a/run"], ["a/run", "a/run (2)", "a/run (3)"]),
        (["/x/a/run", "/y/a/run", "/x/a/run"], ["x/a/run", "y/a/run", "x/a/run (2)"]),
        (["/run"], ["/run"]),
    ],
)
def test_no_two_runs_have_one_name(paths, told):
    assert against.names(paths) == told and len(set(told)) == len(told)
