"""Speech corpora in the layouts of LJSpeech and LibriSpeech."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from mdm.data.media import Item, read_sound, read_text, size_of, unreadable
from mdm.data.readers.reader import Options, Piece, Reader, chunks
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

CHAPTERS = 64  # of LibriSpeech in a piece: about an hour and a half
SPLITS_BY = ("speaker", "chapter", "text")


@dataclasses.dataclass(frozen=True)
class LjSpeechOptions(Options):
    """normalized: take the transcript in which numbers and abbreviations are written out. Clips of one book (LJ001) stay on one
    side of the split, or those of one text if split_by is "text"."""

    normalized: bool = True
    split_by: str = "chapter"

    def problems(self, at: str) -> list[Problem]:
        return super().problems(at) + _split_problem(at, self.split_by, SPLITS_BY[1:])


@dataclasses.dataclass(frozen=True)
class LibriSpeechOptions(Options):
    """split_by: what stays on one side of the split: all of a "speaker", of a "chapter", or of a "text"."""

    split_by: str = "speaker"

    def problems(self, at: str) -> list[Problem]:
        return super().problems(at) + _split_problem(at, self.split_by, SPLITS_BY)


def _split_problem(at: str, found: str, wanted: tuple[str, ...]) -> list[Problem]:
    return [] if found in wanted else [Problem(f"{at}.split_by", found, "unknown", f"use one of {wanted}")]


def _lj_pieces(name: str, path: Path, options: LjSpeechOptions) -> Iterator[Piece]:
    """metadata.csv is one file of at most some MB: every worker reads it, each takes its lines."""
    for first, part in chunks(_lj_lines(path)):
        sizes = [[line, size_of(_wav(path, line.split("|")[0]))] for line in part]
        yield Piece(("metadata.csv",), fingerprint(sizes), first, first + len(part))


def _lj_lines(path: Path) -> list[str]:
    lines = read_text(path / "metadata.csv").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _wav(path: Path, clip: str) -> Path:
    return path / "wavs" / f"{Path(clip).name}.wav"  # a plain name: nothing outside of the folder


def _lj_items(name: str, path: Path, options: LjSpeechOptions, piece: Piece) -> Iterator[Item]:
    for number, line in enumerate(_lj_lines(path)[piece.first : piece.stop], piece.first + 1):
        fields = line.split("|")
        text = fields[-1 if options.normalized else 1].strip() if len(fields) in (2, 3) else ""
        key = f"{name}/{fields[0] or number}"
        if not text or not fields[0]:
            where, remedy = f"{path / 'metadata.csv'} line {number}", "mend or remove the line"
            yield unreadable(key, Problem(where, line, "is not CLIP|TEXT|NORMALIZED TEXT", remedy), ("text", "audio"))
            continue
        concept = text if options.split_by == "text" else f"{name}/{fields[0].split('-')[0]}"
        yield _spoken(key, concept, text, _wav(path, fields[0]))


def _libri_pieces(name: str, path: Path, options: LibriSpeechOptions) -> Iterator[Piece]:
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*.trans.txt"))
    if not files:
        remedy = "it holds SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt with .flac files beside it"
        raise Refusal(Problem(str(path), None, "holds no .trans.txt file", remedy))
    for first, part in chunks(files, CHAPTERS):
        sizes = [[file, size_of(path / file)] for file in part]
        yield Piece(tuple(part), fingerprint(sizes), first, first + len(part))


def _libri_items(name: str, path: Path, options: LibriSpeechOptions, piece: Piece) -> Iterator[Item]:
    for file in piece.files:
        try:
            lines = read_text(path / file).splitlines()
        except Refusal as refusal:
            yield unreadable(f"{name}/{file}", refusal.problems[0], ("text", "audio"))
            continue
        for number, line in enumerate(lines, 1):
            clip, _, text = line.partition(" ")
            if not text.strip():
                where, remedy = f"{path / file} line {number}", "mend or remove the line"
                problem = Problem(where, line, "is not CLIP TEXT", remedy)
                yield unreadable(f"{name}/{file}:{number}", problem, ("text", "audio"))
                continue
            speaker, _, chapter = clip.rpartition("-")[0].partition("-")
            concept = {"speaker": f"{name}/{speaker}", "chapter": f"{name}/{speaker}-{chapter}", "text": text}
            sound = (path / file).parent / f"{Path(clip).name}.flac"
            yield _spoken(f"{name}/{clip}", concept[options.split_by], text.strip(), sound)


def _spoken(key: str, concept: str, text: str, sound: Path) -> Item:
    media = {"text": lambda: text, "audio": lambda: read_sound(sound)}
    return Item(key, concept, media, f"{text} {size_of(sound)}")


LJSPEECH = Reader(LjSpeechOptions, _lj_pieces, _lj_items)
LIBRISPEECH = Reader(LibriSpeechOptions, _libri_pieces, _libri_items)
