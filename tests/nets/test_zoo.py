"""Names, and the numbers that the papers and other libraries publish."""

import json
from typing import Any

import pytest
from golden import FILE, WITH_LOGITS, counts, logits
from hypothesis import given
from hypothesis import strategies as st

import residua
from residua import Spec, UserError, VggSpec
from residua.nets.plan import Plan
from residua.nets.zoo import NAMES, changes, note, title

GOLDEN: dict[str, Any] = json.loads(FILE.read_text())

PUBLISHED_PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet50_v1": 25_557_032,
    "resnext50_32x4d": 25_028_904,
    "resnext101_32x8d": 88_791_336,
    "resnext101_64x4d": 83_455_272,
    "wide_resnet50_2": 68_883_240,
    "wide_resnet101_2": 126_886_696,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "seresnet50": 28_088_024,
    "resnet50d": 25_576_264,
    "preresnet50": 25_549_352,
    "resnetv2_50": 25_549_352,
    "plain34": 21_623_848,
    "keras_resnet50": 25_636_712 - 53_120,  # Keras counts running statistics as parameters
    "keras_resnet50v2": 25_613_800 - 45_440,
    "cifar_resnet20": 269_722,
    "cifar_resnet56": 853_018,
    "cifar_preresnet164": 1_703_258,
    "cifar_preresnet1001": 10_327_706,
    "cifar_wrn28_10": 36_479_194,
}
PUBLISHED_MULTIPLY_ADDS = {
    "resnet18": 1_814_073_344,
    "resnet34": 3_663_761_408,
    "resnet50": 4_089_184_256,
    "resnet101": 7_801_405_440,
    "resnet152": 11_513_626_624,
    "resnet50_v1": 3_857_973_248,
    "resnet101_v1": 7_570_194_432,
    "resnet152_v1": 11_282_415_616,
    "vgg19": 19_632_062_464,
    "plain34": 3_644_493_824,
}
PAPER_MILLIONS = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7, 1202: 19.4}


def plan_of(name: str, **fields: Any) -> Plan:
    return residua.plan(residua.spec(name, **fields))


@pytest.mark.parametrize(("name", "parameters"), PUBLISHED_PARAMETERS.items())
def test_published_parameters(name: str, parameters: int) -> None:
    assert residua.plan(residua.spec(name)).parameters == parameters


@pytest.mark.parametrize(("name", "multiply_adds"), PUBLISHED_MULTIPLY_ADDS.items())
def test_published_multiply_adds(name: str, multiply_adds: int) -> None:
    assert residua.plan(residua.spec(name)).multiply_adds == multiply_adds


@pytest.mark.parametrize(("depth", "millions"), PAPER_MILLIONS.items())
def test_the_papers_cifar_parameters(depth: int, millions: float) -> None:
    parameters = residua.plan(residua.spec(f"cifar_resnet{depth}")).parameters / 1e6
    digits = 1 if millions > 1 else 2
    assert round(parameters, digits) == millions


@pytest.mark.parametrize("name", NAMES)
def test_golden_counts(name: str) -> None:
    assert counts(name) == GOLDEN["counts"][name]


def test_every_golden_network_is_listed() -> None:
    assert set(GOLDEN["counts"]) == set(NAMES)


@pytest.mark.parametrize("name", WITH_LOGITS)
def test_golden_logits(name: str) -> None:
    assert logits(name) == pytest.approx(GOLDEN["logits"][name], rel=1e-7)


def test_plain_equals_option_a_and_is_18_percent_of_vgg() -> None:
    plain, option_a = plan_of("plain34"), plan_of("resnet34", projection="A")
    assert (plain.parameters, plain.multiply_adds) == (option_a.parameters, option_a.multiply_adds)
    assert (plain.parameters, plain.multiply_adds) == (21_623_848, 3_644_493_824)
    assert round(100 * plain.multiply_adds / plan_of("vgg19").multiply_adds, 1) == 18.6


def test_the_weight_counts_that_retellings_misprint() -> None:
    """Two 3x3 convolutions 256 to 256 have 1,179,648 weights, the bottleneck 69,632."""
    basic = plan_of("resnet18", widths=(256,), units=(2,), stem_width=256).stages[0].units[1]
    bottleneck = plan_of("resnet50", widths=(64,), units=(2,)).stages[0].units[1]
    weights = [
        sum(layer.parameters for _, layer in unit.residual if layer.kind == "convolution")
        for unit in (basic, bottleneck)
    ]
    assert weights == [1_179_648, 69_632]


def test_depth_by_the_papers_rule() -> None:
    assert plan_of("resnet101").depth == 1 + 3 * 33 + 1
    listed = {18, 34, 50, 101, 152, 200}
    assert {plan_of(f"resnet{depth}").depth for depth in listed} == listed
    assert plan_of("cifar_wrn28_10").depth == 26
    assert "papers' rule" in (note(residua.spec("cifar_wrn28_10")) or "")


@given(st.integers(1, 250), st.sampled_from(["resnet", "plain", "preresnet", "highway"]))
def test_any_valid_cifar_depth_has_that_depth(n: int, family: str) -> None:
    for depth in (6 * n + 2, 9 * n + 2):
        assert plan_of(f"cifar_{family}{depth}").depth == depth


@given(st.integers(1, 3000))
def test_an_invalid_cifar_depth_names_the_nearest(depth: int) -> None:
    valid = {k * n + 2 for k in (6, 9) for n in range(1, 600)}
    if depth in valid:
        return
    with pytest.raises(UserError) as error:
        residua.spec(f"cifar_resnet{depth}")
    distances = sorted(abs(depth - d) for d in valid)
    named = [int(word.removeprefix("cifar_resnet")) for word in str(error.value).rstrip(".").split()[-3::2]]
    assert sorted(abs(depth - d) for d in named) == distances[:2] and set(named) <= valid


def test_the_unit_follows_the_depth_and_can_be_overridden() -> None:
    assert residua.spec("cifar_resnet110").unit == "basic"
    assert residua.spec("cifar_resnet164").unit == "bottleneck"
    assert residua.spec("cifar_resnet1001").stride_place == "1x1"
    assert plan_of("cifar_resnet164", unit="basic").depth == 164
    assert plan_of("cifar_resnet110", unit="bottleneck").depth == 110
    with pytest.raises(UserError, match="cifar_resnet56 and cifar_resnet65"):
        residua.spec("cifar_resnet62", unit="bottleneck")


def test_descendants_are_other_values_of_the_same_fields() -> None:
    assert residua.spec("resnet50", order="full_preactivation") == residua.spec("preresnet50")
    assert residua.spec("resnet34", unit="bottleneck") == residua.spec("resnet50")
    assert residua.spec("resnet34", residual=False) == residua.spec("plain34")
    assert residua.spec("resnet50", stride_place="1x1") == residua.spec("resnet50_v1")
    assert residua.spec("wide_resnet50_2", width=1) == residua.spec("resnet50")
    assert residua.spec("cifar_highway20", shortcut="identity") == residua.spec("cifar_resnet20")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet51", "resnet50"),
        ("preresnet", "preresnet18"),
        ("vgg19bn", "vgg19_bn"),
        ("cifar_wrn27_10", "28"),
    ],
)
def test_an_unknown_name_offers_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UserError, match=near):
        residua.spec(name)


def test_listing_takes_patterns_and_plain_words() -> None:
    assert residua.list_models("resnet?0") == ["resnet50"]
    assert residua.list_models("highway") == [f"cifar_highway{d}" for d in (20, 32, 44, 56, 110)]
    assert residua.list_models("nothing") == []


def test_changes_are_named() -> None:
    edited = residua.spec("resnet50", num_classes=10, order="full_preactivation")
    assert changes(edited)["num_classes"] == 10
    assert title(residua.spec("resnet18", num_classes=10)) == "resnet18 num_classes=10"
    assert changes(Spec(stem_width=32))["stem_width"] == 32
    assert changes(residua.spec("seresnet50", squeeze_excitation=None)) == {"squeeze_excitation": None}


@pytest.mark.parametrize("network", [Spec(name="vgg16"), VggSpec(name="resnet50")])
def test_a_name_of_the_other_family_is_ones_own(network: Spec | VggSpec) -> None:
    assert title(network) == network.name
