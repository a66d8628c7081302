"""Reads the shape of a checkpoint: `model.yaml` of the DiT and `config.yaml` of Vocos. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ishowtts.errors import WeightsError, first_line
from ishowtts.util import strict_yaml
from ishowtts.util.files import read_bounded
from ishowtts.util.strict_yaml import StrictYamlError

RATE_HZ: Final = 24_000
HOP: Final = 256
MELS: Final = 100
N_FFT: Final = 1024
HEAD: Final = 64
"""Width of an attention head."""
CONV_TAPS: Final = 31
CONV_GROUPS: Final = 16
"""The positional convolutions."""

TokenizerName = Literal["pinyin", "char"]
"""How a text becomes tokens: `pinyin` as upstream does it, or `char`, one token for each character."""


class _ConfigPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DitConfig(_ConfigPart):
    """Upstream's `model.arch`. The defaults are those of upstream's class for F5TTS_v1_Base.

    Weights of the first version (F5TTS_Base, F5TTS_Small) have `text_mask_padding: false` and `pe_attn_head: 1`. Their
    tensors have the same names and shapes as those of `v1`, so only the description tells them apart.
    """

    dim: int = Field(multiple_of=16, ge=16, le=8192)  # 16 groups in the positional convolutions
    depth: int = Field(ge=1, le=128)
    heads: int = Field(ge=1, le=128)
    dim_head: Literal[64] = 64
    ff_mult: int = Field(ge=1, le=16)
    text_dim: int = Field(multiple_of=2, ge=2, le=8192)
    conv_layers: int = Field(ge=0, le=64)
    text_mask_padding: bool = True
    text_embedding_average_upsampling: bool = False
    qk_norm: Literal["rms_norm"] | None = None
    pe_attn_head: int | None = Field(None, ge=0, le=128)
    attn_backend: Literal["torch"] = "torch"
    attn_mask_enabled: bool = False
    long_skip_connection: bool = False
    checkpoint_activations: Literal[False] = False

    @model_validator(mode="after")
    def _upsamples_text_alone(self) -> DitConfig:
        if self.text_embedding_average_upsampling and not self.text_mask_padding:
            raise ValueError("text_embedding_average_upsampling needs text_mask_padding")
        return self


class MelConfig(_ConfigPart):
    """The only spectrogram that F5-TTS with this Vocos uses."""

    target_sample_rate: Literal[24_000] = RATE_HZ
    n_mel_channels: Literal[100] = MELS
    hop_length: Literal[256] = HOP
    win_length: Literal[1024] = N_FFT
    n_fft: Literal[1024] = N_FFT
    mel_spec_type: Literal["vocos"] = "vocos"


_Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class ModelConfig(_ConfigPart):
    """`model.yaml`: the keys of upstream's `model`, without those of training, and two of ours.

    Attributes:
        languages: Base languages that the weights were trained on, in lower case; `None` if they are not known.
        licence: Licence of the weights, such as `Apache-2.0`; `None` if it is not known.
    """

    name: str = "unnamed"
    backbone: Literal["DiT"] = "DiT"
    tokenizer: TokenizerName = "pinyin"
    arch: DitConfig
    mel_spec: MelConfig = MelConfig()
    languages: tuple[_Language, ...] | None = Field(None, min_length=1, max_length=64)
    licence: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9 .,+()-]{0,99}$")


class _Features(_ConfigPart):
    sample_rate: Literal[24_000] = RATE_HZ
    n_fft: Literal[1024] = N_FFT
    hop_length: Literal[256] = HOP
    n_mels: Literal[100] = MELS
    padding: Literal["center", "same"] = "center"


class _Backbone(_ConfigPart):
    input_channels: Literal[100]
    dim: int = Field(ge=1, le=8192)
    intermediate_dim: int = Field(ge=1, le=32768)
    num_layers: int = Field(ge=1, le=128)


class _Head(_ConfigPart):
    dim: int = Field(ge=1, le=8192)
    n_fft: Literal[1024]
    hop_length: Literal[256]
    padding: Literal["center", "same"] = "same"


class _FeaturesClass(_ConfigPart):
    # A class path is compared, never imported: a file must not choose the code that runs.
    class_path: Literal["vocos.feature_extractors.MelSpectrogramFeatures"]
    init_args: _Features = _Features()


class _BackboneClass(_ConfigPart):
    class_path: Literal["vocos.models.VocosBackbone"]
    init_args: _Backbone


class _HeadClass(_ConfigPart):
    class_path: Literal["vocos.heads.ISTFTHead"]
    init_args: _Head


class VocoderConfig(_ConfigPart):
    """`config.yaml` of Vocos."""

    feature_extractor: _FeaturesClass
    backbone: _BackboneClass
    head: _HeadClass


def vocoder_of(dim: int, intermediate_dim: int, layers: int) -> VocoderConfig:
    """The description of a Vocos with another size than the official one."""
    return VocoderConfig.model_validate(
        {
            "feature_extractor": {"class_path": "vocos.feature_extractors.MelSpectrogramFeatures"},
            "backbone": {
                "class_path": "vocos.models.VocosBackbone",
                "init_args": {
                    "input_channels": MELS, "dim": dim, "intermediate_dim": intermediate_dim, "num_layers": layers,
                },
            },
            "head": {
                "class_path": "vocos.heads.ISTFTHead",
                "init_args": {"dim": dim, "n_fft": N_FFT, "hop_length": HOP, "padding": "center"},
            },
        }
    )  # fmt: skip


BASE = ModelConfig(
    name="F5TTS_v1_Base", arch=DitConfig(dim=1024, depth=22, heads=16, ff_mult=2, text_dim=512, conv_layers=4)
)
"""The shape of the official weights."""

_Kind = TypeVar("_Kind", bound=_ConfigPart)


def read_model(path: Path) -> ModelConfig:
    """Read `model.yaml`. Raises WeightsError with the first fault."""
    return _read(path, ModelConfig)


def read_vocoder(path: Path) -> VocoderConfig:
    """Read Vocos' `config.yaml`. Raises WeightsError with the first fault."""
    return _read(path, VocoderConfig)


def _read(path: Path, kind: type[_Kind]) -> _Kind:
    try:
        content = strict_yaml.load(read_bounded(path, strict_yaml.MOST_BYTES).decode("utf-8"))
        return kind.model_validate(content)
    except (OSError, UnicodeDecodeError, StrictYamlError) as error:
        problem = getattr(error, "strerror", None) or first_line(error)
        raise WeightsError(f"{path} cannot be read ({problem}); fetch the weights again") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise WeightsError(
            f"{path} describes a model that this engine does not run: {where}: {first['msg']}; "
            "use the file that came with the weights"
        ) from error
