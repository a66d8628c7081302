"""The F5 checkpoints that `ishowtts fetch` knows: where they come from, what they speak, and under which licence.

Names, addresses and descriptions come only from this table. Nothing here is read from a download.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_VOCODER_NOTE = "Vocos (charactr/vocos-mel-24khz), which every model needs, is licensed MIT."


@dataclass(frozen=True)
class HubFile:
    """A file on the Hugging Face hub, with what is known about its content.

    Attributes:
        repo: owner and name of the repository.
        revision: commit of the repository, 40 hexadecimal digits; `main` until the hub is asked; empty if a folder does
            not say it.
        path: path in the repository.
        local_path: path below the folder of the checkpoint; for a file that is converted, its name until then.
        size: size in bytes; 0 if it is not known yet.
        sha256: checksum; `None` if it is not known.
        git_sha1: name of the content in git, which the hub gives for files that are not in its large storage.
    """

    repo: str
    revision: str
    path: str
    local_path: str
    size: int
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class CatalogueModel:
    """A checkpoint that can be fetched by name.

    Attributes:
        name: what `--model` takes, and the name of its folder.
        repo: owner and name of its repository on the hub.
        model_path: weights of the transformer in the repository, safetensors or torch's pickled format.
        licence: SPDX identifier of the licence of the weights.
        commercial_use: whether this licence allows commercial use.
        about: one sentence about the model and its licence.
        languages: what it speaks, as base languages.
        disk_bytes: approximate size of the fetched folder.
        download_bytes: approximate size of the download; `None` if it is not known before the hub is asked.
        pinned: the files whose checksums are known here.
        description: `model.yaml`, without the keys that are in this table; `None` for the official files.
        use_ema: whether the averaged weights are used, if a pickled file has both.
        sample_rate_hz: sample rate of its speech.
    """

    name: str
    repo: str
    model_path: str
    licence: str
    commercial_use: bool
    about: str
    languages: tuple[str, ...]
    disk_bytes: int
    download_bytes: int | None
    pinned: tuple[HubFile, ...]
    description: Mapping[str, Any] | None = None
    use_ema: bool = True
    sample_rate_hz: int = 24_000

    @property
    def is_pinned(self) -> bool:
        """Whether the checksum of every file is known here."""
        return self.description is None

    @property
    def is_pickled(self) -> bool:
        """Whether the weights must be converted to safetensors."""
        return not self.model_path.endswith(".safetensors")

    @property
    def unpinned(self) -> tuple[HubFile, ...]:
        """The files whose checksums only the hub knows: vocabulary and model."""
        paths = () if self.is_pinned else ("vocab.txt", self.model_path)
        return tuple(HubFile(self.repo, "main", path, path, 0) for path in paths)

    @property
    def licence_note(self) -> str:
        """What the operator must know about the licence before the download, in some sentences."""
        allowed = "allowed" if self.commercial_use else "NOT allowed"
        return f"{self.name} ({self.repo}): {self.licence}, commercial use {allowed}. {self.about} {_VOCODER_NOTE}"

    def model_yaml(self) -> dict[str, Any]:
        """Returns the content of `model.yaml` for a folder that holds this model."""
        keys = {"name": self.name, "languages": list(self.languages), "licence": self.licence}
        return {**keys, **(self.description or {})}


_F5_REVISION = "84e5a410d9cead4de2f847e7c9369a6440bdfaca"
_VOCOS_REVISION = "0feb3fdd929bcd6649e0e7c5a688cf7dd012ef21"
OFFICIAL_MODEL_FILE = "model_1250000.safetensors"
_VOCOS = (
    HubFile("charactr/vocos-mel-24khz", _VOCOS_REVISION, "config.yaml", "vocos/config.yaml",
            461, "da9033922f969a47f0c160010226919e59f27761fd5066f3828d46de6650b0fc"),
    HubFile("charactr/vocos-mel-24khz", _VOCOS_REVISION, "pytorch_model.bin", "vocos/pytorch_model.bin",
            54_365_991, "97ec976ad1fd67a33ab2682d29c0ac7df85234fae875aefcc5fb215681a91b2a"),
)  # fmt: skip

_BASE_ARCH = {"dim": 1024, "depth": 22, "heads": 16, "ff_mult": 2, "text_dim": 512, "conv_layers": 4}
_SMALL_ARCH = {"dim": 768, "depth": 18, "heads": 12, "ff_mult": 2, "text_dim": 512, "conv_layers": 4}

OFFICIAL = CatalogueModel(
    name="official",
    repo="SWivid/F5-TTS",
    model_path=f"F5TTS_v1_Base/{OFFICIAL_MODEL_FILE}",
    licence="CC-BY-NC-4.0",
    commercial_use=False,
    about="Share and adapt with attribution. These are the weights of the authors of F5-TTS (F5TTS_v1_Base).",
    languages=("en", "zh"),
    disk_bytes=1_402_815_000,
    download_bytes=1_402_815_000,
    pinned=(
        HubFile("SWivid/F5-TTS", _F5_REVISION, "F5TTS_v1_Base/vocab.txt", "vocab.txt",
                13_800, "2a05f992e00af9b0bd3800a8d23e78d520dbd705284ed2eedb5f4bd29398fa3c"),
        *_VOCOS,
        # Last, so that an interrupted fetch is not taken for a complete one.
        HubFile("SWivid/F5-TTS", _F5_REVISION, f"F5TTS_v1_Base/{OFFICIAL_MODEL_FILE}", OFFICIAL_MODEL_FILE,
                1_348_435_761, "670900fd14e6c458b95da6e9ed317cdb20dbaf7a1c02ac06a05475a9d32b6a38"),
    ),
)  # fmt: skip

CATALOGUE: Mapping[str, CatalogueModel] = {
    model.name: model
    for model in (
        OFFICIAL,
        CatalogueModel(
            name="openf5",
            repo="mrfakename/OpenF5-TTS-Base",
            model_path="model.pt",
            licence="Apache-2.0",
            commercial_use=True,
            about="It has the shape of F5TTS_v1_Base. Its author calls it alpha.",
            languages=("en",),
            disk_bytes=1_403_000_000,
            download_bytes=None,
            pinned=_VOCOS,
            description={"tokenizer": "pinyin", "arch": _BASE_ARCH},
        ),
        CatalogueModel(
            name="silma",
            repo="silma-ai/silma-tts",
            model_path="model.pt",
            licence="Apache-2.0",
            commercial_use=True,
            about="It has half of the parameters of a base model.",
            languages=("ar", "en"),
            disk_bytes=691_000_000,
            # Two public programs that download it name 2,603,209,272 bytes: training's state is in the file.
            download_bytes=2_658_000_000,
            pinned=_VOCOS,
            description={"tokenizer": "char", "arch": _SMALL_ARCH},
            use_ema=False,  # as its authors' own package loads it (silma-tts 1.0.5)
        ),
        CatalogueModel(
            name="hindi",
            repo="SPRINGLab/F5-Hindi-24KHz",
            model_path="model_2500000.safetensors",
            licence="CC-BY-4.0",
            commercial_use=True,
            about="Share and adapt with attribution: name SPRING Lab, IIT Madras. It has the older shape F5TTS_Small.",
            languages=("hi",),
            disk_bytes=691_000_000,
            download_bytes=691_000_000,
            pinned=_VOCOS,
            # Upstream's model card (f5-tts 1.1.22, infer/SHARED.md).
            description={
                "tokenizer": "pinyin",
                "arch": {**_SMALL_ARCH, "text_mask_padding": False, "pe_attn_head": 1},
            },
        ),
    )
}
"""Each model by its name."""
