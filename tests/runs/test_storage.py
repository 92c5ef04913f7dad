"""What storage does not give says nothing of what is stored there."""

import errno

import pytest

from mdm import exits
from mdm.problems import Problem, Refusal
from mdm.runs import storage
from mdm.runs.storage import Unanswered, answered
from tests.busy import Busy


@pytest.mark.parametrize(
    "error", [Busy("try again later\nand more"), ValueError("PERMISSION_DENIED: ..."), OSError(errno.EIO, "I/O error")]
)
def test_whatever_fails_is_an_error_of_the_storage_that_is_named(error):
    with pytest.raises(OSError, match="gs://b/run does not answer") as raised, answered("gs://b/run"):
        raise error
    assert isinstance(raised.value, Unanswered) and exits.code_of(raised.value) == exits.FAULT
    assert "and more" not in str(raised.value) and raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [Refusal(Problem("here", None, "is wrong", "mend it")), *(own("here") for own in storage.OF_PATHS)]
)
def test_what_says_enough_itself_is_left_as_it_is(error):
    with pytest.raises(type(error)) as raised, answered("here"):
        raise error
    assert raised.value is error
    with pytest.raises(KeyboardInterrupt), answered("here"):
        raise KeyboardInterrupt
