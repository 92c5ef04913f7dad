"""How each task is sampled unless something else is asked for.

Values come from the literature on other models, from which `experiments/studies/samplers.py` starts, and from its sweeps on the
long demo where these show something better (`experiments/studies/results/samplers`).
Confidence order is kept for conditional tasks, where one good answer is wanted; tasks that are judged by their spread use an
order that samples the model.
"""

from __future__ import annotations

import dataclasses

from mdm.sampling.settings import SamplerSettings

# LLaDA's public code: 128 steps, temperature 0, one token a step on its canvas of 128. A shorter canvas ends earlier.
# One answer is right, so all seeds give the same, and of lengths the expected one.
_TRANSCRIPT = SamplerSettings(order="confidence", grid="uniform", steps=128, temperature=0.0, room="expected")

DEFAULTS: dict[str, SamplerSettings] = {
    # Ancestral, as the ELBO assumes; nucleus 0.9 as in ReMDM's text results (arXiv 2503.00307).
    "text": SamplerSettings(order="ancestral", grid="uniform", steps=128, top_p=0.9),
    # MaskGIT: cosine, confidence with noise 4.5, temperature 1; 32 steps; guidance 3, the low end of the usual 3 to 6.
    "text-to-image": SamplerSettings(order="confidence", grid="cosine", steps=32, noise=4.5, guidance=3.0),
    # Swept: chrF 24.7 against 22.8 without guidance (+0.1 to +3.7).
    "image-to-text": dataclasses.replace(_TRANSCRIPT, guidance=1.5),
    # Cosine as a time grid helps few ancestral steps (MD4, arXiv 2406.04329).
    "joint-image-text": SamplerSettings(order="ancestral", grid="cosine", steps=64, top_p=0.95),
    # Swept: by confidence (noise 1) a third of it is silence, ancestral 8 % (-0.26, -0.31 to -0.21). Of guidance the sweep shows
    # nothing: 2 is the middle of the usual 1.5 to 3 for speech.
    "text-to-speech": SamplerSettings(order="ancestral", grid="cosine", steps=64, guidance=2.0),
    "speech-to-text": _TRANSCRIPT,
    "joint-audio-text": SamplerSettings(order="ancestral", grid="cosine", steps=64, top_p=0.95),
}
