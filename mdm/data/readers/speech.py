"""Speech corpora in the layouts of LJSpeech and LibriSpeech."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

from mdm.data.media import Item, document_text, read_sound, size_of, text_of, unreadable
from mdm.data.readers.reader import Options, Piece, Reader, chunks, others
from mdm.data.readers.rows import Row, rows
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

CHAPTERS = 64  # of LibriSpeech in a piece: about an hour and a half
_TABLE = "metadata.csv"
SPLITS_BY = ("speaker", "chapter", "text")


@dataclasses.dataclass(frozen=True)
class LjSpeechOptions(Options):
    """normalized: take the transcript in which numbers and abbreviations are written out. Clips of one book (LJ001) stay on one
    side of the split, or those of one text if split_by is "text"."""

    normalized: bool = True
    split_by: str = "chapter"

    def problems(self, at: str) -> list[Problem]:
        return super().problems(at) + _split_problem(at, self.split_by, SPLITS_BY[1:])

    @property
    def finer(self) -> str:
        return others(self.split_by, SPLITS_BY[1:])


@dataclasses.dataclass(frozen=True)
class LibriSpeechOptions(Options):
    """split_by: what stays on one side of the split: all of a "speaker", of a "chapter", or of a "text"."""

    split_by: str = "speaker"

    def problems(self, at: str) -> list[Problem]:
        return super().problems(at) + _split_problem(at, self.split_by, SPLITS_BY)

    @property
    def finer(self) -> str:
        return others(self.split_by, SPLITS_BY)


def _split_problem(at: str, found: str, wanted: tuple[str, ...]) -> list[Problem]:
    return [] if found in wanted else [Problem(f"{at}.split_by", found, "unknown", f"use one of {wanted}")]


def _lj_pieces(name: str, path: Path, options: LjSpeechOptions) -> Iterator[Piece]:
    listed = ((row, _lj_item(name, path, row, options)) for row in rows(path / _TABLE))
    for _, part in chunks(listed):
        version = fingerprint([item.identity for _, item in part])
        first = part[0][0]
        yield Piece((_TABLE,), version, first.number, first.number + len(part), first.offset)


def _lj_items(name: str, path: Path, options: LjSpeechOptions, piece: Piece) -> Iterator[Item]:
    for row in itertools.islice(rows(path / _TABLE, piece.first, piece.offset), piece.stop - piece.first):
        yield _lj_item(name, path, row, options)


def _lj_item(name: str, path: Path, row: Row, options: LjSpeechOptions) -> Item:
    where = f"{path / _TABLE} line {row.number}"
    try:
        line = text_of(row.content, where).rstrip("\n")
        clip, *texts = line.split("|")
        if not clip or len(texts) not in (1, 2):
            raise Refusal(Problem(where, line, "is not CLIP|TEXT|NORMALIZED TEXT", "mend or remove the line"))
        text = document_text(texts[-1 if options.normalized else 0], where, alone=False)
    except Refusal as refusal:
        return unreadable(f"{name}/{_TABLE}:{row.number}", refusal.problems[0], ("text", "audio"))
    concept = text if options.split_by == "text" else f"{name}/{clip.split('-')[0]}"
    sound = path / "wavs" / f"{Path(clip).name}.wav"  # a plain name: nothing outside of the folder
    return _spoken(f"{name}/{clip}", concept, text, sound)


def _libri_pieces(name: str, path: Path, options: LibriSpeechOptions) -> Iterator[Piece]:
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*.trans.txt"))
    if not files:
        remedy = "it holds SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt with .flac files beside it"
        raise Refusal(Problem(str(path), None, "holds no .trans.txt file", remedy))
    for first, part in chunks(files, CHAPTERS):
        clips = [item.identity for file in part for item in _libri_clips(name, path, file, options)]
        yield Piece(tuple(part), fingerprint([part, clips]), first, first + len(part))


def _libri_items(name: str, path: Path, options: LibriSpeechOptions, piece: Piece) -> Iterator[Item]:
    for file in piece.files:
        yield from _libri_clips(name, path, file, options)


def _libri_clips(name: str, path: Path, file: str, options: LibriSpeechOptions) -> Iterator[Item]:
    return (_libri_item(name, path, file, row, options) for row in rows(path / file))


def _libri_item(name: str, path: Path, file: str, row: Row, options: LibriSpeechOptions) -> Item:
    where = f"{path / file} line {row.number}"
    try:
        clip, _, text = text_of(row.content, where).partition(" ")
        text = document_text(text, where, alone=False)
    except Refusal as refusal:
        return unreadable(f"{name}/{file}:{row.number}", refusal.problems[0], ("text", "audio"))
    speaker, _, chapter = clip.rpartition("-")[0].partition("-")
    concept = {"speaker": f"{name}/{speaker}", "chapter": f"{name}/{speaker}-{chapter}", "text": text}
    sound = (path / file).parent / f"{Path(clip).name}.flac"
    return _spoken(f"{name}/{clip}", concept[options.split_by], text, sound)


def _spoken(key: str, concept: str, text: str, sound: Path) -> Item:
    media = {"text": lambda: text, "audio": lambda: read_sound(sound)}
    return Item(key, concept, media, f"{text} {size_of(sound)}")


LJSPEECH = Reader(LjSpeechOptions, _lj_pieces, _lj_items)
LIBRISPEECH = Reader(LibriSpeechOptions, _libri_pieces, _libri_items)
