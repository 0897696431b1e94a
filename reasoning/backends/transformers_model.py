"""A Hugging Face model in this process: a vision-language model (Qwen-VL, SmolVLM and their like), or one of text.

It runs in the one model thread, so the event loop stays free. Words stream out as they are made; giving up
stops it at its next word, through a stopping criterion, and nobody waits for that. Nothing is fetched here:
`run_agent.py setup` does, and says how much it will be.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import logging
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reasoning.backends import InThread
from reasoning.backends.chat_model import Abilities, ChatMessage, Finish, Picture, Tool, ToolCall
from reasoning.backends.find_server import is_gguf, serve_gguf
from reasoning.backends.picture_tokens import size_of
from reasoning.backends.reply_text import ReplyText
from runtime import program
from runtime.config import ModelConfig
from runtime.errors import ContextTooLong, ModelError
from runtime.weights.known import locate_repository

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)
# More than this is slow on what runs here, whatever the model could take.
LONGEST_CONTEXT_TOKENS = 16384
# The size of the kept pictures (perception.vision.thumbnail_width_px), by which the cost of one is measured.
PICTURE_SIZE_PX = (384, 216)


class ModelLoader:
    """Loads the model once, in the model thread; called for every question."""

    def __init__(self, config: ModelConfig, in_thread: InThread) -> None:
        self.waiting = f"the model {config.name} is still being loaded"
        self._config = config
        self._in_thread = in_thread
        self._loading: asyncio.Future[TransformersModel] | None = None

    async def __call__(self) -> TransformersModel:
        """The model, when it is loaded; whoever stops waiting does not stop that.

        Raises:
            ModelError: it is not on this machine, or cannot be loaded.
        """
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
        await asyncio.wait({self._loading})
        return self._loading.result()

    async def _load(self) -> TransformersModel:
        model: TransformersModel = await self._in_thread(load_model, self._config, self._in_thread)
        return model


def locate_model(config: ModelConfig) -> Path:
    """The folder of the model a profile names.

    Raises:
        ModelError: none is named, or it is not on this machine.
    """
    if is_gguf(config.name):
        raise ModelError(f"{serve_gguf(config.name)} with reasoning.backend auto")
    folder = locate_repository(config.name) if config.name else None
    if folder is None:
        lacking = f"{config.name} is not on this machine; run `{program.name()} setup`"
        named = lacking if config.name else "no model is named"
        raise ModelError(f"reasoning.model.name: {named}, or give a folder with a Hugging Face model")
    return folder


def load_model(config: ModelConfig, in_thread: InThread) -> TransformersModel:
    """Load the model a profile names, onto the GPU if there is one. Takes seconds to minutes.

    Raises:
        ModelError: it is not on this machine, or cannot be loaded.
    """
    folder = locate_model(config)
    try:
        importlib.import_module("torch")
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise ModelError(f"reasoning.backend transformers needs packages that are not installed: {error}") from error
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    try:
        settings = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        sees = type(settings) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        kind = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
        device, dtype = _device()
        model = kind.from_pretrained(folder, local_files_only=True, dtype=dtype).to(device).eval()
        made_by = transformers.AutoProcessor if sees else transformers.AutoTokenizer
        processor = made_by.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        _LOG.warning("the model %s cannot be loaded", config.name, exc_info=True)
        raise ModelError(f"the model {config.name} cannot be loaded: {_why(error)}") from error
    return TransformersModel(config, in_thread, model, processor, sees)


class TransformersModel:
    """A `ChatModel` in this process. ``processor`` is a tokenizer where ``sees`` is false."""

    def __init__(self, config: ModelConfig, in_thread: InThread, model: Any, processor: Any, sees: bool) -> None:
        self.name = f"transformers:{config.name.rstrip('/').rpartition('/')[2]}"
        self._in_thread = in_thread
        self._model = model
        self._processor = processor
        self._tokenizer = getattr(processor, "tokenizer", processor)
        self._sees = sees
        text = model.config.get_text_config()
        longest = config.context_tokens or getattr(text, "max_position_embeddings", 0) or LONGEST_CONTEXT_TOKENS
        template = str(getattr(processor, "chat_template", None) or self._tokenizer.chat_template or "")
        if not template:
            raise ModelError(f"the model {config.name} has no chat template; take one that was made to chat")
        self._abilities = Abilities(
            context_tokens=min(longest, LONGEST_CONTEXT_TOKENS),
            images=sees,
            tools="tool_call" in template,  # the form they are parsed by here
            billions=model.num_parameters() / 1e9,
        )
        self._picture_tokens = (config.image_tokens or self._cost_of_picture()) if sees else 0
        # Whether its thinking, if it thinks, has a begin: None until a whole reply was seen.
        self._is_plain: bool | None = None

    @property
    def is_local(self) -> bool:
        return True

    @property
    def abilities(self) -> Abilities:
        return self._abilities

    def count_picture(self, jpeg: bytes) -> int:
        """At the cost of a kept picture, by its size where it is larger."""
        width, height = size_of(jpeg) or PICTURE_SIZE_PX
        return int(self._picture_tokens * max(1.0, width * height / (PICTURE_SIZE_PX[0] * PICTURE_SIZE_PX[1])))

    def count_tokens(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[Tool],
        max_tokens: int,
        schema: dict[str, Any] | None = None,
    ) -> AsyncGenerator[str | ToolCall | Finish, None]:
        """See `ChatModel`."""
        words: asyncio.Queue[str | None] = asyncio.Queue()
        loop, stop = asyncio.get_running_loop(), threading.Event()

        def deliver(text: str, end: bool) -> None:
            if text:
                loop.call_soon_threadsafe(words.put_nowait, text)
            if end:
                loop.call_soon_threadsafe(words.put_nowait, None)

        work = asyncio.ensure_future(self._in_thread(self._generate, messages, tools, max_tokens, deliver, stop))
        work.add_done_callback(lambda _: words.put_nowait(None))
        reply = ReplyText(not self._is_plain, [tool.name for tool in tools])
        try:
            while (text := await words.get()) is not None:
                if said := reply.feed(text):
                    yield said
            used: int = await work
            said, calls = reply.end()
            if said:
                yield said
            for call in calls:
                yield call
            self._is_plain = not reply.lone and (self._is_plain is not False) and used < max_tokens
            if reply.thought:
                self._abilities = msgspec.structs.replace(self._abilities, thinks=True)
            yield Finish("tools" if calls else "length" if used >= max_tokens else "stop", reply.thought)
        except (RuntimeError, ValueError, TypeError, IndexError, OSError) as error:
            _LOG.warning("%s failed", self.name, exc_info=True)
            raise ModelError(f"{self.name} failed: {_why(error)}") from error
        finally:
            stop.set()

    def _generate(
        self,
        messages: Sequence[ChatMessage],
        tools: Sequence[Tool],
        max_tokens: int,
        deliver: Any,
        stop: threading.Event,
    ) -> int:
        """Make the reply, in the model thread; how many tokens it has.

        Raises:
            ContextTooLong: the prompt does not fit.
        """
        import torch
        from transformers import StoppingCriteriaList, TextIteratorStreamer

        kind, device = self._model.dtype, self._model.device
        inputs = {
            name: value.to(device, kind) if value.is_floating_point() else value.to(device)
            for name, value in self._encode(messages, tools).items()
        }
        length, longest = int(inputs["input_ids"].shape[1]), self._abilities.context_tokens
        if length + max_tokens > longest:
            raise ContextTooLong(f"the question with its evidence is too long for {self.name}", longest)

        class Streamer(TextIteratorStreamer):  # type: ignore[misc]
            """Hands words on as they are final, to a loop that must not be blocked."""

            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                deliver(text, stream_end)

        def evicted(ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:
            return torch.full((ids.shape[0],), stop.is_set(), device=ids.device, dtype=torch.bool)

        if stop.is_set():
            return 0
        with torch.inference_mode():
            made = self._model.generate(
                **inputs,
                max_new_tokens=max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                streamer=Streamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True),
                stopping_criteria=StoppingCriteriaList([evicted]),
            )
        return int(made.shape[1]) - length

    def _encode(self, messages: Sequence[ChatMessage], tools: Sequence[Tool]) -> Any:
        chat = [self._template_message(message) for message in messages]
        functions = [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
            for t in tools
        ]
        return self._processor.apply_chat_template(
            chat, tools=functions or None, add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt",
        )  # fmt: skip

    def _template_message(self, message: ChatMessage) -> dict[str, Any]:
        from PIL import Image

        wire: dict[str, Any] = {"role": message.role, "content": message.text}
        if self._sees:
            wire["content"] = [
                {"type": "image", "image": Image.open(io.BytesIO(part.jpeg)).convert("RGB")}
                if isinstance(part, Picture)
                else {"type": "text", "text": part}
                for part in message.content
            ]
        if message.calls:
            wire["tool_calls"] = [
                {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.calls
            ]
        return wire

    def _cost_of_picture(self) -> int:
        """Tokens of one kept picture, as the model's own processor counts them."""
        from PIL import Image

        jpeg = io.BytesIO()
        Image.new("RGB", PICTURE_SIZE_PX).save(jpeg, "JPEG")
        with_picture = self._encode([ChatMessage("user", ("a", Picture(jpeg.getvalue())))], ())
        without = self._encode([ChatMessage("user", ("a",))], ())
        return int(with_picture["input_ids"].shape[1]) - int(without["input_ids"].shape[1])


def _device() -> tuple[str, torch.dtype]:
    """Where and how exactly to compute: halves on a GPU, whole floats on the processor, where they are quicker."""
    import torch

    if torch.cuda.is_available():
        return "cuda", torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return "cpu", torch.float32


def _why(error: BaseException) -> str:
    """What went wrong in words of ours; what the libraries say of it is in the log."""
    if "out of memory" in str(error).lower() or isinstance(error, MemoryError):
        return (
            "there is not enough memory; take a smaller model, or show it fewer pictures (reasoning.model.max_images)"
        )
    if isinstance(error, ImportError):
        return f"it needs a package that is not installed ({error.name or 'see the log'})"
    return "its files are damaged, or not in a form that is known here (see the log)"
