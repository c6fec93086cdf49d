"""What a spec accepts, and what it says of the rest."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import residua
from residua import Spec, UserError, VggSpec
from residua.nets.spec import CONDITIONAL
from residua.nets.values import from_text
from residua.nets.zoo import changes, title

NONSENSE: list[tuple[str, dict[str, Any], str]] = [
    ("resnet50", {"oder": "original"}, "did you mean order"),
    ("vgg19", {"order": "original"}, "unknown field of vgg19 'order'"),
    ("resnet50", {"order": "full"}, "order='full' is not valid.*full_preactivation"),
    ("resnet50", {"num_classes": 0}, "num_classes=0.*at least 1"),
    ("resnet50", {"num_classes": True}, "num_classes=True.*a whole number"),
    ("resnet50", {"num_classes": 10.5}, "num_classes=10.5.*a whole number"),
    ("resnet50", {"in_channels": -3}, "in_channels=-3.*at least 1"),
    ("resnet50", {"units": (3, 4)}, r"units=\(3, 4\).*one number for each stage"),
    ("resnet50", {"units": ()}, "one number for each stage"),
    ("resnet50", {"units": (3, 4, 0, 3)}, "units=0"),
    ("resnet50", {"width": 0.3}, "width=0.3.*whole number"),
    ("resnet50", {"width": float("nan")}, "width=nan.*a number"),
    ("resnet50", {"groups": 48}, "groups=48.*must divide"),
    ("resnet18", {"groups": 2}, "groups=2.*unit='bottleneck'"),
    ("resnet18", {"stride_place": "1x1"}, "stride_place='1x1'.*unit='bottleneck'"),
    ("resnet50", {"output_stride": 12}, "output_stride=12.*4, 8, 16 or 32"),
    ("plain34", {"projection": "A"}, "projection='A'.*residual=True"),
    ("plain34", {"shortcut": "dropout"}, "shortcut='dropout'.*residual=True"),
    ("plain34", {"stochastic_depth": 0.5}, "stochastic_depth=0.5.*residual=False"),
    ("plain34", {"zero_init_residual": True}, "zero_init_residual=True.*residual=False"),
    ("resnet34", {"stochastic_depth": 1.0}, "stochastic_depth=1.0"),
    ("resnet34", {"gate_bias": -6}, "gate_bias=-6.0.*exclusive_gating"),
    ("resnet34", {"shortcut_scale": 0.5}, "shortcut_scale=0.5.*shortcut='scaling'"),
    ("resnet34", {"zero_channels": "around"}, "zero_channels='around'.*projection='A'"),
    ("resnet34", {"shortcut": "convolution", "projection": "A"}, "projection='A'.*already a convolution"),
    ("resnet34", {"projection": "A", "projection_pool": True}, "projection_pool=True.*projection='B' or 'C'"),
    ("resnet34", {"projection": "A", "widths": (64, 32, 16, 8)}, "projection='A' cannot take channels away"),
    ("resnet34", {"first_activation": "unit"}, "first_activation='unit'.*pre-activation"),
    ("resnet34", {"norm": "none", "norm_eps": 1e-3}, "norm_eps=0.001.*a norm"),
    ("resnet34", {"norm_eps": 0.0}, "norm_eps=0.0.*above 0"),
    ("resnet34", {"norm": "group", "norm_momentum": 0.1}, "norm_momentum=0.1.*batch norm"),
    ("resnet34", {"norm_momentum": 1.5}, "norm_momentum=1.5"),
    ("cifar_resnet20", {"stem_pool": "max"}, "stem_pool='max'.*stem='imagenet' or 'deep'"),
    ("resnet34", {"order": "relu_before_addition", "zero_init_residual": True}, "no gradient"),
    ("vgg19", {"convolutions": (1,)}, "convolutions"),
    ("resnet50", {"shortcut": None}, "shortcut=None is not valid"),
    ("resnet50", {"order": 5}, "order=5 is not valid"),
    ("resnet50", {"order": None}, "order=None is not valid"),
    ("cifar_resnet20", {"unit": ["basic"]}, "unit="),
    ("resnet50", {"num_classes": 10**400}, "num_classes=1000.*a whole number below"),
    ("resnet50", {"width": 1e300}, "width="),
    ("resnet50", {"units": (1,) * 99, "widths": (8,) * 99}, "99 stages are not built"),
    ("resnet50", {"units": (10**9, 1, 1, 1)}, "more than 100,000 units"),
    ("vgg19", {"convolutions": (10**9, 1, 1, 1, 1)}, "more than 100,000 convolutions"),
    ("resnet50", {"self": 1}, "unknown field of resnet50 'self'"),
    ("cifar_resnet020", {}, "unknown network"),
    ("cifar_wrn0_0", {}, "unknown network"),
]


@pytest.mark.parametrize(("name", "fields", "sentence"), NONSENSE)
def test_nonsense_fails_with_one_sentence(name: str, fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence) as error:
        residua.spec(name, **fields)
    assert "\n" not in str(error.value)


def test_a_spec_is_frozen_and_hashable() -> None:
    spec = residua.spec("resnet50")
    with pytest.raises(AttributeError):
        spec.width = 2  # type: ignore[misc]
    assert hash(spec) == hash(residua.spec("resnet50"))


def test_lists_and_whole_numbers_pass_for_tuples_and_floats() -> None:
    spec = Spec(units=[1, 2], widths=[8, 16], width=2)  # type: ignore[arg-type]
    assert (spec.units, spec.width) == ((1, 2), 2.0) and isinstance(spec.width, float)


def test_an_edit_forgets_what_lost_its_meaning() -> None:
    gated = residua.spec("resnet50", shortcut="exclusive_gating", gate_bias=-3)
    assert gated.edit(shortcut="identity") == residua.spec("resnet50")
    assert residua.spec("resnet50", groups=32).edit(unit="basic") == residua.spec("resnet34")
    assert gated.edit(num_classes=10).gate_bias == -3


def test_a_spec_survives_plain_data() -> None:
    for name in residua.list_models():
        spec = residua.spec(name)
        assert type(spec)(**spec.to_dict()) == spec


@given(st.sampled_from(sorted(CONDITIONAL)), st.sampled_from(["resnet50", "cifar_preresnet20", "plain18"]))
def test_a_conditional_field_is_none_exactly_where_it_has_no_meaning(field: str, name: str) -> None:
    spec = residua.spec(name)
    assert (getattr(spec, field) is None) == (not CONDITIONAL[field].holds(spec))


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("num_classes", "10", 10),
        ("width", "2", 2),
        ("residual", "false", False),
        ("units", "3,4,6,3", (3, 4, 6, 3)),
        ("units", "(3, 4)", (3, 4)),
        ("norm", "none", "none"),
        ("output_stride", "none", None),
        ("norm_momentum", "exact", "exact"),
        ("gate_bias", "-6", -6),
        ("projection", "A", "A"),
    ],
)
def test_values_as_typed(field: str, text: str, value: object) -> None:
    assert from_text(field, text, Spec().hint(field)) == value


def test_a_vgg_is_described_by_its_own_few_fields() -> None:
    assert isinstance(residua.spec("vgg16", hidden=64), VggSpec)


@pytest.mark.parametrize("value", [np.array(2.7), np.array([1, 2]), torch.tensor(2.7), torch.tensor([1, 2])])
def test_arrays_are_no_whole_numbers(value: Any) -> None:
    with pytest.raises(UserError, match="num_classes="):
        residua.spec("resnet50", num_classes=value)


def test_numpys_numbers_pass() -> None:
    spec = residua.spec("resnet50", num_classes=np.int64(10), units=np.array([3, 4, 6, 3]).tolist())
    assert type(spec.num_classes) is int and spec.num_classes == 10


@pytest.mark.parametrize("wrong", [5, None, ["resnet50"]])
def test_what_is_no_name(wrong: Any) -> None:
    with pytest.raises(UserError, match="a network is a name or a spec"):
        residua.spec(wrong)


@pytest.mark.parametrize("side", ["a", 32.5, 0, -1, 10**12])
def test_what_is_no_size(side: Any) -> None:
    with pytest.raises(UserError, match="size="):
        residua.plan(residua.spec("resnet50"), side)


def test_a_name_may_be_given() -> None:
    mine = residua.spec("resnet50", name="mine", num_classes=3)
    assert mine.name == "mine" and title(mine) == "mine"
    assert residua.create(mine, name="other").spec.name == "other"


EDITS = st.fixed_dictionaries(
    {},
    optional={
        "num_classes": st.integers(1, 9),
        "unit": st.sampled_from(["basic", "bottleneck"]),
        "order": st.sampled_from(["original", "full_preactivation", "relu_only_preactivation"]),
        "projection": st.sampled_from(["A", "B", "C"]),
        "shortcut": st.sampled_from(["identity", "scaling", "exclusive_gating"]),
        "norm": st.sampled_from(["batch", "group", "none"]),
        "stem": st.sampled_from(["imagenet", "cifar", "deep"]),
        "residual": st.booleans(),
    },
)


@given(st.sampled_from(["resnet18", "preresnet50", "cifar_resnet20", "cifar_resnet110", "plain18"]), EDITS)
def test_a_name_and_its_changes_give_the_network_back(name: str, edits: dict[str, Any]) -> None:
    try:
        made = residua.spec(name, **edits)
    except UserError:
        return
    assert residua.spec(made.name, **changes(made)) == made


def test_another_unit_takes_the_cifar_name_away() -> None:
    """The name states a depth, which the other unit does not have."""
    assert residua.spec(residua.spec("cifar_resnet110"), unit="bottleneck").name == ""
    assert residua.spec("cifar_resnet110", unit="bottleneck").name == "cifar_resnet110"
