"""Pretrained codecs of pictures and sound: small models of the real classes with random weights, read from a folder."""

import json

import numpy as np
import pytest

from mdm.codecs import registry
from mdm.codecs.codec import Sound
from mdm.codecs.picture_vq import PictureVq, PictureVqSettings
from mdm.codecs.sound_rvq import SoundRvq, SoundRvqSettings
from mdm.problems import Refusal
from tests.codecs.conftest import pictures, sounds

pytestmark = pytest.mark.slow  # importing torch and these packages takes longer than a test should


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module", params=["group", "spatial"])
def picture_folder(request, torch, tmp_path_factory):
    library = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vq")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    model = library.VQModel(block_out_channels=(32, 32), norm_num_groups=4, latent_channels=4, num_vq_embeddings=32,
                            layers_per_block=1, norm_type=request.param, **blocks)  # fmt: skip
    model.save_pretrained(folder)
    return folder


def _fill_codebooks(model, torch, name):
    """A model that was never trained has codebooks of zeros."""
    with torch.no_grad():
        for key, buffer in model.named_buffers():
            if key.rpartition(".")[2] == name:
                buffer.normal_(std=0.02)
    return model


def small(kind, torch, folder):
    library = pytest.importorskip("transformers")
    torch.manual_seed(0)
    if kind == "encodec":
        config = library.EncodecConfig(num_filters=4, hidden_size=16, num_lstm_layers=1, codebook_size=64, codebook_dim=16,
                                       upsampling_ratios=[4, 4], target_bandwidths=[9.0, 36.0])  # fmt: skip
        _fill_codebooks(library.EncodecModel(config), torch, "embed").save_pretrained(folder)
    elif kind == "mimi":
        config = library.MimiConfig(num_filters=4, hidden_size=16, upsampling_ratios=[4, 4], num_hidden_layers=1,
                                    intermediate_size=16, num_attention_heads=2, num_key_value_heads=2, head_dim=8,
                                    codebook_size=64, codebook_dim=8, vector_quantization_hidden_dimension=8,
                                    num_quantizers=4, upsample_groups=16)  # fmt: skip
        _fill_codebooks(library.MimiModel(config), torch, "embed_sum").save_pretrained(folder)
    elif kind == "dac":
        config = library.DacConfig(encoder_hidden_size=4, downsampling_ratios=[4, 4], decoder_hidden_size=32, n_codebooks=4,
                                   codebook_size=64, codebook_dim=4)  # fmt: skip
        library.DacModel(config).save_pretrained(folder)
    else:
        library = pytest.importorskip("snac")
        safetensors = pytest.importorskip("safetensors.torch")
        config = {"sampling_rate": 24_000, "encoder_dim": 4, "encoder_rates": [4, 4], "decoder_dim": 32, "decoder_rates": [4, 4],
                  "attn_window_size": None, "codebook_size": 64, "codebook_dim": 4, "vq_strides": [4, 2, 1]}  # fmt: skip
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
        weights = {k: v.clone().contiguous() for k, v in library.SNAC(**config).state_dict().items()}
        safetensors.save_file(weights, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module", params=["encodec", "mimi", "dac", "snac"])
def sound_folder(request, torch, tmp_path_factory):
    return request.param, small(request.param, torch, tmp_path_factory.mktemp(request.param))


def test_pictures_of_the_library_come_back_through_our_batches(torch, picture_folder, tmp_path):
    library = pytest.importorskip("diffusers")
    codec = PictureVq(PictureVqSettings(str(picture_folder), size=16))
    own = pictures(11)
    codes = codec.encode(own)
    assert codec.codebooks == (32,) and all(c.shape == (8, 8) and c.dtype == np.int32 for c in codes)
    assert len(np.unique(np.stack(codes))) > 1
    assert all((codec.encode([own[i]])[0] == codes[i]).all() for i in (0, 7, 10))
    model = library.VQModel.from_pretrained(picture_folder).eval()
    back = codec.decode(codes[:1])[0]
    with torch.inference_mode():
        from mdm.codecs.pictures import squares

        x = torch.from_numpy(squares(own[:1], 16)).permute(0, 3, 1, 2).float() / 127.5 - 1
        wanted = model(x).sample[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(back, np.clip((wanted + 1) * 127.5, 0, 255), atol=0.51)
    codec.save(tmp_path / "to")
    again = registry.load(tmp_path / "to")
    assert again.fingerprint == codec.fingerprint and (again.encode(own[:1])[0] == codes[0]).all()
    assert {"psnr_db", "used"} & set(codec.ceiling(own))


def test_sounds_get_codes_of_every_book_at_the_rate_of_the_model(sound_folder, tmp_path):
    kind, folder = sound_folder
    codec = SoundRvq(SoundRvqSettings(str(folder)))
    own = [*sounds(3), Sound(np.random.default_rng(0).normal(size=8000).astype(np.float32) * 0.1, 24_000)]
    codes = codec.encode(own)
    books = {"encodec": 4, "mimi": 4, "dac": 4, "snac": 7}[kind]
    assert codec.codebooks == (64,) * books
    for sound, found in zip(own, codes, strict=True):
        seconds = len(sound.samples) / sound.rate
        assert found.shape[1] == books and found.min() >= 0 and found.max() < 64
        assert abs(found.size / seconds - codec.tokens_per_second) < 3 * books / seconds
    assert (codec.encode([own[2]])[0] == codes[2]).all()
    assert len(np.unique(codes[3])) > 4
    back = codec.decode(codes)
    assert all(abs(len(b.samples) / b.rate - len(s.samples) / s.rate) < 0.1 for b, s in zip(back, own, strict=True))
    assert (codec.decode([codes[0]])[0].samples == back[0].samples).all()
    assert np.isfinite(codec.ceiling(own)["mel_l1_db"])
    codec.save(tmp_path / "to")
    again = registry.load(tmp_path / "to")
    assert again.fingerprint == codec.fingerprint and (again.encode(own[:1])[0] == codes[0]).all()


def test_the_first_books_alone(sound_folder):
    kind, folder = sound_folder
    if kind == "snac":
        with pytest.raises(Refusal, match="codebooks"):
            SoundRvq(SoundRvqSettings(str(folder), codebooks=2))
        return
    whole, part = SoundRvq(SoundRvqSettings(str(folder))), SoundRvq(SoundRvqSettings(str(folder), codebooks=2))
    own = sounds(1)
    assert part.codebooks == (64, 64) and (part.encode(own)[0] == whole.encode(own)[0][:, :2]).all()
    assert len(part.decode(part.encode(own))[0].samples) == len(whole.decode(whole.encode(own))[0].samples)


def test_what_is_missing_or_of_another_model_is_named(sound_folder, picture_folder, tmp_path):
    _, folder = sound_folder
    with pytest.raises(Refusal, match=r"(?s)has no config\.json.*has no model\.safetensors"):
        SoundRvq(SoundRvqSettings(str(tmp_path)))
    with pytest.raises(Refusal, match=r"has no diffusion_pytorch_model\.safetensors"):
        PictureVq(PictureVqSettings(str(folder)))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(Refusal, match="llama.*is none of"):
        SoundRvq(SoundRvqSettings(str(tmp_path)))
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(Refusal, match="holds no model of sound"):
        SoundRvq(SoundRvqSettings(str(tmp_path)))
    with pytest.raises(Refusal, match="no multiple of 2"):
        PictureVq(PictureVqSettings(str(picture_folder), size=15))
