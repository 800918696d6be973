"""Networks for clips: an encoder of frames, a memory that goes from frame to frame, and a head.

A memory is what a network keeps of a clip: it takes up one frame after the other and answers at any
time. Training goes through whole clips, a live film frame by frame; both run the same lines.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import pad_sequence

from mien.errors import RecipeError
from mien.models import registry
from mien.models.catalogue import LSTM, FrameMean, Transformer
from mien.models.heads import Classifier, dense
from mien.models.spec import Spec
from mien.models.weights.read import read_torch, reading

State = tuple[Tensor, ...]


class Memory(nn.Module):
    """What is kept of a clip: tensors (N, *shape), of zeros before the first frame."""

    shapes: Mapping[str, tuple[int, ...]]
    """Name and shape of each tensor."""
    width: int
    """Of its answer."""

    def remember(self, seen: Tensor, state: State) -> State:
        """The state after one more frame, (N, D)."""
        raise NotImplementedError

    def answer(self, state: State) -> Tensor:
        """(N, width): what the head decides on."""
        raise NotImplementedError


class Mean(Memory):
    """The mean over all frames so far: blind to their order."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shapes, self.width = {"sum": (width,), "count": (1,)}, width

    def remember(self, seen: Tensor, state: State) -> State:
        total, count = state
        return total + seen, count + 1

    def answer(self, state: State) -> Tensor:
        total, count = state
        return total / count.clamp(min=1)


class Recurrent(Memory):
    """An LSTM (Hochreiter & Schmidhuber 1997); behind a CNN: Donahue et al. 2015,
    arXiv:1411.4389."""

    def __init__(self, seen: int, hidden: int) -> None:
        super().__init__()
        self.shapes, self.width = {"hidden": (hidden,), "cell": (hidden,)}, hidden
        self.norm = nn.LayerNorm(seen)
        self.cell = nn.LSTMCell(seen, hidden)
        with torch.no_grad():  # open forget gates (Jozefowicz et al. 2015)
            self.cell.bias_ih[hidden : 2 * hidden] += 1

    def remember(self, seen: Tensor, state: State) -> State:
        hidden, cell = self.cell(self.norm(seen), state)
        return hidden, cell

    def answer(self, state: State) -> Tensor:
        return state[0]


class Window(Memory):
    """Attention over the last frames (Vaswani et al. 2017, arXiv:1706.03762), which are kept."""

    def __init__(self, seen: int, options: Transformer) -> None:
        super().__init__()
        self.width, self.frames = options.width, options.frames
        self.shapes = {"window": (options.frames, options.width), "count": (1,)}
        self.project = nn.Sequential(nn.LayerNorm(seen), nn.Linear(seen, options.width))
        self.places = nn.Parameter(0.02 * torch.randn(options.frames, options.width))
        self.layers = nn.ModuleList(
            Attention(options.width, options.heads) for _ in range(options.layers)
        )

    def remember(self, seen: Tensor, state: State) -> State:
        window, count = state
        moved = torch.cat([window[:, 1:], self.project(seen)[:, None]], 1)
        return moved, (count + 1).clamp(max=self.frames)

    def answer(self, state: State) -> Tensor:
        window, count = state
        ages = torch.arange(self.frames - 1, -1, -1, device=window.device)
        there = ages[None] < count.clamp(min=1)
        x = window + self.places
        for layer in self.layers:
            x = layer(x, there)
        return x[:, -1]


class Attention(nn.Module):
    """(N, K, width) → the same: self-attention over the places that are `there` (N, K), and two
    dense layers, each with a shortcut (pre-norm, Xiong et al. 2020, arXiv:2002.04745)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, there: Tensor) -> Tensor:
        parts = self.asked(self.before(x)).unflatten(2, (3, self.heads, -1)).transpose(1, 3)
        query, key, value = parts.unbind(2)  # (N, heads, K, width / heads) each
        found = scaled_dot_product_attention(query, key, value, there[:, None, None])
        x = x + self.mixed(found.transpose(1, 2).flatten(2))
        changed: Tensor = x + self.dense(self.between(x))
        return changed


class ClipNetwork(nn.Module):
    """(F, C, S, S) faces of N clips, one clip after the other, and their (N,) `lengths` → (N,
    classes) logits. Without lengths, each face is a clip of one frame."""

    def __init__(self, encoder: Classifier, memory: Memory, head: nn.Module, frozen: bool) -> None:
        super().__init__()
        self.encoder, self.memory, self.head = encoder, memory, head
        self.frozen = frozen
        if frozen:
            encoder.requires_grad_(False)
            encoder.eval()

    @property
    def features(self) -> nn.Module:
        """The encoder's, where explanations look."""
        return self.encoder.features

    @property
    def attention(self) -> nn.Module:
        """The encoder's."""
        return self.encoder.attention

    def train(self, mode: bool = True) -> "ClipNetwork":
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, faces: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None:
            lengths = torch.ones(len(faces), dtype=torch.long, device=faces.device)
        clips = self.encoder(faces).split(lengths.tolist())
        frames = pad_sequence(clips, batch_first=True)
        state = self.begin(frames[:, 0])
        for number, frame in enumerate(frames.unbind(1)):
            after = self.memory.remember(frame, state)
            goes_on = number < lengths
            state = tuple(
                torch.where(goes_on.view(-1, *[1] * (new.ndim - 1)), new, old)
                for new, old in zip(after, state, strict=True)
            )
        logits: Tensor = self.head(self.memory.answer(state))
        return logits

    def begin(self, seen: Tensor) -> State:
        """The state before the first frame of N clips, on the device of (N, ...) `seen`."""
        shapes = self.memory.shapes.values()
        return tuple(seen.new_zeros(len(seen), *shape, dtype=torch.float32) for shape in shapes)


class Step(nn.Module):
    """One frame of a network for clips, which is what is exported: (N, C, S, S) faces and the state
    before them → (N, classes) logits and the state after them."""

    def __init__(self, network: ClipNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, face: Tensor, *state: Tensor) -> State:
        network = self.network
        after = network.memory.remember(network.encoder(face), state)
        return network.head(network.memory.answer(after)), *after


def frame_mean(spec: Spec, options: FrameMean) -> nn.Module:
    """The mean of the frames' features, on which a dense layer decides (Wang et al. 2016,
    arXiv:1608.00859)."""
    encoder, width = _encoder(spec, options)
    return _network(spec, options, encoder, Mean(width))


def cnn_lstm(spec: Spec, options: LSTM) -> nn.Module:
    """An LSTM over the frames' features; a dense layer decides on its last state."""
    encoder, width = _encoder(spec, options)
    return _network(spec, options, encoder, Recurrent(width, options.hidden))


def transformer(spec: Spec, options: Transformer) -> nn.Module:
    """Attention over the features of the last frames; a dense layer decides on the newest one's."""
    encoder, width = _encoder(spec, options)
    return _network(spec, options, encoder, Window(width, options))


def _network(spec: Spec, options: FrameMean, encoder: Classifier, memory: Memory) -> nn.Module:
    head = dense(memory.width, spec.classes, options.dropout)
    return ClipNetwork(encoder, memory, head, options.frozen)


def _encoder(spec: Spec, options: FrameMean) -> tuple[Classifier, int]:
    """The network of frames, which ends with its features, and how many these are."""
    entry, weights = registry.entry(options.encoder), spec.weights
    from_file = Path(weights).is_file()
    start = "none" if from_file else weights
    inner = Spec(spec.classes, spec.channels, start, spec.size_px)
    network = entry.build(inner, options.encoder_options)
    if not isinstance(network, Classifier):
        raise RecipeError(f"{entry.name} has no features to encode frames with; use another")
    linear = next(part for part in network.head.modules() if isinstance(part, nn.Linear))
    network.head = nn.Identity()
    if from_file:
        found = read_torch(weights)
        own = {name.removeprefix("model."): tensor for name, tensor in found.items()}
        with reading(weights, f"the network {entry.name}"):
            network.load_state_dict({n: t for n, t in own.items() if not n.startswith("head.")})
    return network, linear.in_features
