"""All measures of what a model makes. A new one is one entry: the tasks that it measures, and how it scores."""

from __future__ import annotations

from mdm.evaluation.measures import captions, halves, pictures, prose, speech, transcripts
from mdm.evaluation.measures.measure import Measure

MEASURES: tuple[Measure, ...] = (
    prose.PROSE,
    prose.SHORT,
    prose.LENGTH,
    pictures.OWN_PICTURE,
    pictures.LOOKS,
    pictures.PICTURE_DISTANCES,
    captions.CAPTIONS,
    halves.CAPTION_AND_PICTURE,
    speech.WORDS,
    speech.OWN_RECORDING,
    speech.SOUND,
    speech.SPEECH_DISTANCES,
    transcripts.TRANSCRIPTS,
    halves.TEXT_AND_SPEECH,
    halves.TEXT_AND_WORDS,
)

QUICK: tuple[Measure, ...] = tuple(measure for measure in MEASURES if not measure.slow)
"""Without those that take a second a document: for comparing many samplers."""
