"""What preparation says of the folder that it is given, so that what it says helps."""

import re
import shutil
from pathlib import Path

import pytest

from mdm.problems import Refusal
from tests.data import prose

pytest.importorskip("apache_beam")


@pytest.mark.parametrize("lost", ["lengths/mdm-train-0*", "codecs/text/codec.json", "mdm-train.array_record-00000*"])
def test_a_data_set_that_lost_a_file_is_not_whole_and_its_remedy_helps(tmp_path, lost):
    settings = prose.settings_of(prose.write(tmp_path / "media"))
    manifest = prose.prepared(settings, tmp_path / "set")
    before = prose.files_of(manifest)
    (file, *_) = (tmp_path / "set").glob(lost)
    file.unlink()
    told = rf"{file.name}: .*missing.* -> restore the file, or prepare it again, in another folder or after deleting "
    for _ in range(2):
        with pytest.raises(Refusal, match=told + re.escape(str(tmp_path / "set"))):
            prose.prepared(settings, tmp_path / "set")
    shutil.rmtree(tmp_path / "set")
    assert prose.files_of(prose.prepared(settings, tmp_path / "set")) == before


def test_an_output_that_cannot_be_made_is_refused(tmp_path):
    settings = prose.settings_of(prose.write(tmp_path / "media"))
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file/set", Path("/proc/none/set"), tmp_path / ("x" * 300)):
        with pytest.raises(Refusal, match=rf"{place.name}.*: cannot be made, or written .*--output"):
            prose.prepared(settings, place)
