"""Rows and columns of figures."""

from mdm.evaluation import measured
from mdm.evaluation.generated import Generated

BASE = {
    "split": "heldout", "task": "text-to-image", "modality": "image", "what": "own picture is nearest", "unit": "%",
    "better": "more", "documents": 4, "model": 0.25, "se_data": 0.1, "codec": 1.0, "original": 1.0, "chance": 0.25,
    "sampler": {}, "seeds": (0, 3), "seconds": 1.0, "versions": {}, "device": "cpu",
}  # fmt: skip


def figure(**changes):
    return Generated(**(BASE | changes))


def test_a_block_a_task_and_its_splits_side_by_side():
    made = [
        figure(),
        figure(what="level", unit="dB", better="alike", model=-23.456, se_data=0.5, codec=-20, original=-19.9, chance=None),
        figure(split="train", model=0.5, documents=3),
        figure(task="text", modality="text", what="entropy", unit="bits", chance=None, codec=None, original=None, se_data=None),
    ]  # fmt: skip
    pictures, text = measured.blocks(made)
    assert pictures.task == "text-to-image" and pictures.splits == [("heldout", 4), ("train", 3)]
    assert pictures.columns == ["model", "codec", "original", "chance"]
    nearest, level = pictures.rows
    assert nearest.figure == "own picture is nearest (%)" and nearest.better == "↑"
    assert nearest.cells == [["25.0 ± 10.0", "100", "100", "25.0"], ["50.0 ± 10.0", "100", "100", "25.0"]]
    assert level.better == "≈" and level.cells == [["-23.5 ± 0.5", "-20.0", "-19.9", ""], [""] * 4]
    assert text.columns == ["model"] and text.rows[0].cells == [["0.250"]]


def test_what_cannot_be_told_is_empty_and_nothing_is_nothing():
    (block,) = measured.blocks([figure(unit="", model=None, se_data=None, codec=0.0, original=1e-6, chance=12345.6)])
    assert block.rows[0].cells == [["", "0", "0.0000", "12346"]]
    (block,) = measured.blocks([figure(unit="", model=None, se_data=None, codec=0.0, original=-1e-6, chance=-1.0)])
    assert block.rows[0].cells == [["", "0", "0.0000", "-1.00"]]
    assert measured.blocks([]) == []
