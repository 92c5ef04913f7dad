"""A document on disk: its codes by modality, as a tf.train.Example that TFDS describes and reads.

Codes are stored as the codecs gave them, not as vocabulary ids, so a data set outlives a vocabulary that grows.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2

from mdm.fingerprint import fingerprint
from mdm.problems import Problem, Refusal
from mdm.tokens.rows import Document
from mdm.tokens.vocabulary import MODALITIES

LAYOUT = 2  # of a record: what an interrupted preparation of another one has encoded is refused


class Stored(NamedTuple):
    """A document as it is kept.

    key:     unique in its source
    concept: fingerprint of what its item must not be parted from (see `mdm.data.media.Item`): documents that share it lie on
             one side of the split, and are no independent witnesses. "" in data sets that were prepared before it was kept
    """

    key: str
    concept: str
    content: Document


@functools.cache
def features() -> tfds.features.FeaturesDict:
    """What `features.json` says. An absent modality is an empty array; a picture's columns follow from its rows."""
    codes = functools.partial(tfds.features.Tensor, shape=(None,), dtype=np.int32, encoding="bytes")
    return tfds.features.FeaturesDict(
        {
            "key": tfds.features.Text(),
            "concept": tfds.features.Text(),
            **{modality: codes() for modality in MODALITIES},
            "image_rows": tfds.features.Scalar(np.int32),
            "audio_codebooks": tfds.features.Scalar(np.int32),
        }
    )


def encode(key: str, concept: str, document: Document) -> bytes:
    """The record of a document; of its concept, which may be a long text, it holds the fingerprint.

    Raises Refusal if a modality has no codes at all or more dims than it may.
    """
    example = tf_example_pb2.Example()
    feature = example.features.feature
    feature["key"].bytes_list.value.append(key.encode())
    feature["concept"].bytes_list.value.append(fingerprint(concept).encode())
    for modality in MODALITIES:
        codes = document[modality] if modality in document else np.zeros(0, np.int32)
        if modality in document and (codes.size == 0 or codes.ndim != (1 if modality == "text" else 2)):
            raise Refusal(
                Problem(key, codes.shape, f"no usable {modality} codes", "remove the record, or mend its media")
            )
        feature[modality].bytes_list.value.append(np.ascontiguousarray(codes, "<i4").tobytes())
    feature["image_rows"].int64_list.value.append(document["image"].shape[0] if "image" in document else 0)
    feature["audio_codebooks"].int64_list.value.append(document["audio"].shape[1] if "audio" in document else 0)
    return example.SerializeToString(deterministic=True)


def decode(record: bytes, where: str) -> Stored:
    """What `encode` wrote. About 6 us, a tenth of TFDS's own reader. Raises Refusal naming `where`."""
    try:
        feature = tf_example_pb2.Example.FromString(record).features.feature
        document = {}
        for modality in MODALITIES:
            codes = np.frombuffer(feature[modality].bytes_list.value[0], "<i4")
            if codes.size:
                document[modality] = codes
        if "image" in document:
            document["image"] = document["image"].reshape(feature["image_rows"].int64_list.value[0], -1)
        if "audio" in document:
            document["audio"] = document["audio"].reshape(-1, feature["audio_codebooks"].int64_list.value[0])
        concept = feature["concept"].bytes_list.value
        return Stored(feature["key"].bytes_list.value[0].decode(), concept[0].decode() if concept else "", document)
    except Exception as error:  # protobuf, index and shape errors alike mean a damaged record
        raise Refusal(
            Problem(where, None, f"is not a document ({error})", "restore the shard, or prepare again")
        ) from error
