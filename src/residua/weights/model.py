"""What a model file holds: a network, and everything that the file says of it."""

from __future__ import annotations

from dataclasses import dataclass

from residua.nets.network import Network, Vgg
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing


@dataclass(frozen=True)
class Stored:
    """A network and everything that its file says of it."""

    network: Network | Vgg
    metadata: Metadata

    @property
    def classes(self) -> tuple[ClassEntry, ...] | None:
        """What its outputs are called; None if nobody said."""
        return self.metadata.classes

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What makes its input of a photo's pixels; None if nobody said."""
        return self.metadata.preprocessing
