"""What is in a folder of event files. TFRecords: length, its checksum, the event, its checksum."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def read(folder: Path) -> list[Event]:
    """All events, file after file as they were begun."""
    found = []
    for file in sorted(Path(folder).glob("events.out.tfevents.*"), key=lambda path: (len(path.name), path.name)):
        content = file.read_bytes()
        while content:
            (size,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + size]))
            content = content[16 + size :]
    return found
