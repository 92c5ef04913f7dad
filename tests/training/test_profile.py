"""A profile that cannot be written costs the profile, not the run."""

import pytest
from etils import epath

from mdm.training import profile
from mdm.training.profile import Profile, ProfileSettings


@pytest.mark.parametrize("failing", ["start_trace", "stop_trace"])
def test_a_profile_that_cannot_be_written_is_told(tmp_path, monkeypatch, caplog, failing):
    def fails(*_):
        raise RuntimeError("No space left on device")

    for name in ("start_trace", "stop_trace"):
        monkeypatch.setattr(profile.jax.profiler, name, fails if name == failing else lambda *_: None)
    recording = Profile(ProfileSettings(first=2, steps=1), epath.Path(tmp_path))
    for step in range(1, 5):
        recording.before(step, None)
    recording.end()
    assert caplog.text.count("no profile was written") == 1
