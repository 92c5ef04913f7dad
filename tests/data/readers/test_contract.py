"""What the contract of a reader says, held against every one of them."""

import json
import shutil

import numpy as np
import pytest

from mdm.codecs import audio_fsq, image_fsq, mel
from mdm.codecs.audio_fsq import MelFsq, MelFsqSettings
from mdm.codecs.image_fsq import ImageFsq, ImageFsqSettings
from mdm.codecs.text_bytes import Bytes, BytesSettings
from mdm.data import parts, sources
from mdm.data.sources import SourceSettings
from mdm.data.workspace import Identity, Job, Task, claim
from mdm.problems import Refusal
from tests.codecs.conftest import quiet
from tests.data.readers.layouts import ALONE, FILE, NAMED, OPTIONS, WRITE
from tests.data.readers.reading import items, opened

pytest.importorskip("pyarrow")
MARK = b"\xef\xbb\xbf"


@pytest.fixture(scope="module")
def codecs(tmp_path_factory):
    """A folder of small codecs with weights at random: what a fit would take seconds for is not asked of them."""
    folder = tmp_path_factory.mktemp("made")
    image = ImageFsqSettings(size=8, width=4, inner_width=4, blocks=1)
    audio = MelFsqSettings(width=4, blocks=1, crop=8)
    Bytes.fit([], BytesSettings(), progress=quiet, state=None).save(folder / "text")
    scale = {"mean": np.zeros(mel.BANDS, np.float32), "deviation": np.ones(mel.BANDS, np.float32)}
    ImageFsq(image, image_fsq._parameters(image)).save(folder / "image")
    MelFsq(audio, audio_fsq._parameters(audio) | scale).save(folder / "audio")
    return folder


@pytest.mark.parametrize("kind", WRITE)
def test_a_bad_record_is_refused_by_name_or_skipped_alone(tmp_path, codecs, kind):
    (tmp_path / "media").mkdir()
    WRITE[kind](tmp_path / "media", [b"one", b"two", b"bad \xff", b"four", b"five"])
    options = sources.SOURCES[kind].options(**OPTIONS.get(kind, {}))
    source = SourceSettings(kind, str(tmp_path / "media"), "s", options)
    (piece,) = sources.pieces("own", source)
    modalities = tuple(next(sources.items_of("own", source, piece)).media)

    def encoded(most_skips):
        job = Job(tmp_path / str(most_skips), {"own": source}, {"s": modalities}, {}, 0.5, most_skips, 0)
        claim(job.directory)
        job.open(Identity("any", "any", "any"))
        shutil.copytree(codecs, job.directory / "codecs")
        parts.encode(job, Task(0, "own", piece))
        return job

    with pytest.raises(Refusal, match=NAMED[kind] + ".* -> .*most_skips above 0"):
        encoded(0).raise_refusals()
    job = encoded(1000)
    job.raise_refusals()
    assert len(parts.load(job, 0).order) == 4 and job.report_skips(tmp_path / "skips.jsonl") == 1
    (line,) = map(json.loads, (tmp_path / "skips.jsonl").read_text().splitlines())
    assert set(line) == {"key", "where", "reason"} and all(line.values())


@pytest.mark.parametrize("kind", [kind for kind in WRITE if kind != "arrays"])
def test_texts_have_no_mark_no_blanks_around_a_caption_and_are_never_blank(tmp_path, kind):
    texts = [b"one", b"  two ", "   \u3000".encode(), b"four"]
    if kind not in FILE:
        texts[0] = MARK + texts[0]
    WRITE[kind](tmp_path, texts)
    if kind in FILE:
        file = tmp_path / FILE[kind]
        file.write_bytes(MARK + file.read_bytes())
    found = [opened(item) for item in items(kind, tmp_path, **OPTIONS.get(kind, {}))]
    if kind != "prose":  # whose blank lines stand between documents
        assert "no text but blanks" in found.pop(2)
    assert [own["text"] for own in found] == ["one", "  two " if kind in ALONE else "two", "four"]
