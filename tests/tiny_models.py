"""Language models of a few thousand random weights, of the true architectures, made where a test needs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
_TEMPLATE = (
    "{% if tools %}<|im_start|>system\nTools: {{ tools | tojson }}\nCall one as <tool_call></tool_call>.<|im_end|>\n"
    "{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.content is string %}{{ message.content }}{% else %}{% for part in message.content %}"
    "{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CORPUS = ["the lighthouse is closed until may", "what do you see right now", "a person in a red top appears"] * 20


def _tokenizer(*special: str, picture: str) -> Any:
    """A byte-level tokenizer that reads any text, with the model's special tokens and a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    built = Tokenizer(models.BPE())
    built.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    built.decoder = decoders.ByteLevel()
    named = [IM_START, IM_END, *special]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=named, initial_alphabet=alphabet, show_progress=False)
    built.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=built,
        eos_token=IM_END,
        pad_token=IM_END,
        additional_special_tokens=named,
        chat_template=_TEMPLATE.replace("IMAGE", picture),
    )


_TEXT: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 4096,
}  # fmt: skip


def make_text_model(folder: Path) -> Path:
    """A Qwen2 that chats and is told of tools; text alone."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    tokenizer = _tokenizer(picture="")
    config = Qwen2Config(**_TEXT, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_qwen2_vl(folder: Path) -> Path:
    """A Qwen2-VL: pictures of any size, patches of 14 x 14 pixels merged by four."""
    import torch
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    torch.manual_seed(0)
    special = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokenizer = _tokenizer(*special, picture="<|vision_start|><|image_pad|><|vision_end|>")
    ids = dict(zip(special, tokenizer.convert_tokens_to_ids(list(special)), strict=True))
    config = Qwen2VLConfig(
        text_config={
            **_TEXT, "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
        },
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2},
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
    )  # fmt: skip
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), chat_template=tokenizer.chat_template
    )
    processor.save_pretrained(folder)
    return folder


def make_smolvlm(folder: Path) -> Path:
    """A SmolVLM (the Idefics3 line): pictures cut into tiles, each a fixed number of tokens."""
    import torch
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )

    torch.manual_seed(0)
    special = ("<fake_token_around_image>", "<image>", "<global-img>", "<end_of_utterance>", "<row_1_col_1>")
    tokenizer = _tokenizer(*special, picture="<image>")
    side_px, patch_px, scale = 32, 8, 2
    config = Idefics3Config(
        text_config={
            "model_type": "llama", **_TEXT, "vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id,
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": side_px, "patch_size": patch_px,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=scale,
    )  # fmt: skip
    Idefics3ForConditionalGeneration(config).save_pretrained(folder)
    pictures = Idefics3ImageProcessor(size={"longest_edge": side_px}, max_image_size={"longest_edge": side_px})
    processor = Idefics3Processor(
        pictures, tokenizer, image_seq_len=(side_px // patch_px // scale) ** 2, chat_template=tokenizer.chat_template
    )
    processor.save_pretrained(folder)
    return folder
