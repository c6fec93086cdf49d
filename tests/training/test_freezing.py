"""What learns in a pass of fine-tuning."""

import pytest
import torch
from torch import nn

import residua
from residua.nets.network import Network, Vgg
from residua.training.recipes import Recipe
from residua.training.updating.freezing import classifier, prepare

NORMS = (nn.BatchNorm2d,)


def network() -> Network | Vgg:
    return residua.create("cifar_resnet20", units=(1, 1, 1), widths=(4, 4, 4), stem_width=4, num_classes=3)


def learning(one: nn.Module) -> set[str]:
    return {name for name, parameter in one.named_parameters() if parameter.requires_grad}


def test_first_the_classifier_learns_and_then_everything() -> None:
    one, recipe = network(), Recipe(epochs=3, freeze=1)
    prepare(one, recipe, 0)
    assert learning(one) == {"fc.weight", "fc.bias"}
    prepare(one, recipe, 1)
    assert learning(one) == dict(one.named_parameters()).keys()


@pytest.mark.parametrize(
    ("freeze", "norms", "moves"), [(0, "train", True), (1, "train", False), (0, "frozen", False)]
)
def test_statistics_move_only_where_they_may(freeze: int, norms: str, moves: bool) -> None:
    one, recipe = network(), Recipe(epochs=3, freeze=freeze).edit(norms=norms)
    one.eval()
    before = {name: buffer.clone() for name, buffer in one.named_buffers()}
    prepare(one, recipe, 0)
    one(torch.randn(2, 3, 8, 8))
    moved = [not torch.equal(buffer, before[name]) for name, buffer in one.named_buffers()]
    assert all(moved) if moves else not any(moved)
    assert one.training


def test_the_classifier_of_a_vgg_is_its_last_layer() -> None:
    vgg = residua.create(
        residua.VggSpec(convolutions=(1,), widths=(4,), hidden=5, num_classes=7, input_size=4)
    )
    assert classifier(vgg).out_features == 7
    prepare(vgg, Recipe(epochs=3, freeze=1), 0)
    assert learning(vgg) == {"classifier.6.weight", "classifier.6.bias"}
