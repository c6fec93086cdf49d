"""What a model file holds: a network, and everything that the file says of it."""

from __future__ import annotations

from dataclasses import dataclass

from residua.errors import UserError
from residua.nets.network import Network, Vgg
from residua.weights.metadata import ClassEntry, Metadata, Preprocessing


@dataclass(frozen=True)
class Stored:
    """A network and everything that its file says of it."""

    network: Network | Vgg
    metadata: Metadata
    digest: str | None = None  # of the file that it comes from

    @property
    def classes(self) -> tuple[ClassEntry, ...] | None:
        """What its outputs are called; None if nobody said."""
        return self.metadata.classes

    @property
    def preprocessing(self) -> Preprocessing | None:
        """What makes its input of a photo's pixels; None if nobody said."""
        return self.metadata.preprocessing

    @property
    def entries(self) -> tuple[ClassEntry, ...]:
        """What its outputs are called; where nobody said, by their numbers."""
        numbers = map(str, range(self.metadata.spec.num_classes))
        return self.classes or tuple(ClassEntry(id=number, name=number) for number in numbers)

    def rule(self) -> Preprocessing:
        """Return what makes its input of a photo's pixels; not to know it is an error."""
        if self.preprocessing is None:
            raise UserError(
                "this model cannot be shown pictures: nobody said how its input was preprocessed; "
                "`residua convert --preprocess` does."
            )
        return self.preprocessing
