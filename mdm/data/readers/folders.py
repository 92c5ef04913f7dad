"""A folder of pictures, each with its caption in a text file of the same name beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from mdm.data.media import Item, document_text, read_image, read_text, size_of, unreadable
from mdm.data.readers.reader import Options, Piece, Reader, chunks, others
from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal

PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SPLITS_BY = ("caption", "folder", "file")


@dataclasses.dataclass(frozen=True)
class FolderOptions(Options):
    """caption: ending of the text files; split_by: what stays on one side of the split: pictures of one "caption", of one
    "folder", or each "file" alone."""

    caption: str = ".txt"
    split_by: str = "caption"

    def problems(self, at: str) -> list[Problem]:
        found = super().problems(at)
        if self.split_by not in SPLITS_BY:
            found.append(Problem(f"{at}.split_by", self.split_by, "unknown", f"use one of {SPLITS_BY}"))
        return found

    @property
    def finer(self) -> str:
        return others(self.split_by, SPLITS_BY)


def _pieces(name: str, path: Path, options: FolderOptions) -> Iterator[Piece]:
    files = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.suffix.lower() in PICTURES)
    if not files:
        raise Refusal(Problem(str(path), None, f"holds no picture ({', '.join(PICTURES)})", "check the path"))
    for first, part in chunks(files):
        sizes = [[file, size_of(path / file), size_of((path / file).with_suffix(options.caption))] for file in part]
        yield Piece(tuple(part), fingerprint(sizes), first, first + len(part))


def _items(name: str, path: Path, options: FolderOptions, piece: Piece) -> Iterator[Item]:
    for file in piece.files:
        picture, key = path / file, f"{name}/{file}"
        try:
            beside = picture.with_suffix(options.caption)
            caption = document_text(read_text(beside), str(beside), alone=False)
        except Refusal as refusal:
            yield unreadable(key, refusal.problems[0], ("text", "image"))
            continue
        concept = {"caption": caption, "folder": f"{name}/{Path(file).parent}", "file": key}[options.split_by]
        media = {"text": lambda c=caption: c, "image": lambda p=picture: read_image(p)}
        yield Item(key, concept, media, f"{caption} {size_of(picture)}")


IMAGE_FOLDER = Reader(FolderOptions, _pieces, _items)
