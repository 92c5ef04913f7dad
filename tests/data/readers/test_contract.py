"""What the contract of a reader says, held against every one of them."""

import pytest

from tests.data.readers.layouts import ALONE, FILE, OPTIONS, WRITE
from tests.data.readers.reading import items, opened

pytest.importorskip("pyarrow")
MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("kind", WRITE)
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
