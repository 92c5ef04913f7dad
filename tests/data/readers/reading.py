"""How the tests read a source: items opened, or what is said of those that cannot be."""

import io
import tarfile

import numpy as np
import soundfile
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from PIL import Image
from tensorflow_datasets.core import dataset_info, naming, splits
from tensorflow_datasets.proto import tf_example_pb2

from mdm.data import sources
from mdm.data.sources import SourceSettings
from mdm.problems import Refusal


def items(kind, path, **options):
    settings = SourceSettings(kind, str(path), "s", sources.SOURCES[kind].options(**options))
    assert not settings.problems("at")
    return list(sources.items("own", settings))


def opened(item):
    """Its media, or the refusal as text."""
    try:
        return {modality: read() for modality, read in item.media.items()}
    except Refusal as refusal:
        return str(refusal)


def archive(path, members, mode="w"):
    """A tar file of (name, content)."""
    with tarfile.open(path, mode) as opened_:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened_.addfile(info, io.BytesIO(content))
    return path


def tfds_set(path, features, records):
    """A data set of TFDS on disk, written without TensorFlow. records: of each, feature -> bytes, or whole numbers."""
    path.mkdir(parents=True, exist_ok=True)
    identity = dataset_info.DatasetIdentity("own", tfds.core.Version("1.0.0"), str(path), "own")
    info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict(features), description="own")
    info.set_file_format("array_record")
    template = naming.ShardedFileTemplate(path, dataset_name="own", split="train", filetype_suffix="array_record")
    info.set_splits(splits.SplitDict([splits.SplitInfo("train", [len(records)], 1, filename_template=template)]))
    info.write_to_directory(path)
    writer = ArrayRecordWriter(str(path / "own-train.array_record-00000-of-00001"), "group_size:1")
    for record in records:
        example = tf_example_pb2.Example()
        for name, value in record.items():
            own, values = example.features.feature[name], value if isinstance(value, list) else [value]
            (own.bytes_list if isinstance(values[0], bytes) else own.int64_list).value.extend(values)
        writer.write(example.SerializeToString())
    writer.close()


def png(color: int = 0) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), (color, color, color)).save(file, "PNG")
    return file.getvalue()


def wav(samples: int = 80, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full(samples, 0.25), rate, format="WAV")
    return file.getvalue()
