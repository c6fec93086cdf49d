"""Drawings show what the plan says, are the same on every run, and are written whole or not at all."""

from __future__ import annotations

import errno
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from residua.errors import UserError
from residua.nets.description import quantity
from residua.nets.drawing import draw
from residua.nets.drawing.layout import lay_out, lead
from residua.nets.drawing.pieces import picture
from residua.nets.plan import Plan, plan
from residua.nets.zoo import spec

Drawn = Callable[..., str]


def planned(*names: str) -> list[Plan]:
    return [plan(spec(name)) for name in names]


@pytest.fixture
def drawn(tmp_path: Path) -> Drawn:
    """Draw plans and return the SVG."""

    def svg(*plans: Plan) -> str:
        draw(plans, tmp_path / "drawn.svg")
        return (tmp_path / "drawn.svg").read_text()

    return svg


def texts(svg: str) -> Counter[str]:
    """Every text in the SVG, and how often."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    return Counter(
        "".join(element.itertext()).strip() for element in root.iter("{http://www.w3.org/2000/svg}text")
    )


def named(svg: str, kind: str) -> int:
    """How many elements of a kind the SVG has."""
    return len(set(re.findall(rf'id="{kind}-\d+"', svg)))


def test_figure_3(drawn: Drawn) -> None:
    svg = drawn(*planned("vgg19", "plain34", "resnet34"))
    assert named(svg, "shortcut-solid") == 13
    assert named(svg, "shortcut-dashed") == 3
    assert named(svg, "box") == (19 + 5) + (34 + 2) * 2  # layers and pools
    seen = texts(svg)
    assert seen["7x7 conv, 64, /2"] == 2
    assert seen["3x3 conv, 64"] == 2 + 6 * 2
    assert seen["3x3 conv, 128, /2"] == seen["3x3 conv, 256, /2"] == seen["3x3 conv, 512, /2"] == 2
    assert seen["3x3 conv, 256"] == 4 + 11 * 2
    assert (seen["pool, /2"], seen["avg pool"]) == (5 + 2, 2)
    assert (seen["fc 4096"], seen["fc 1000"]) == (2, 3)
    assert seen["image"] == seen["34 layers"] + seen["19 layers"] == 3
    for text in ("vgg19", "plain34", "resnet34", "21.8 M parameters", "3.66 G multiply-adds"):
        assert seen[text] == 1
    assert all(seen[side] == 1 for side in ("224", "112", "56", "28", "14", "7", "1"))


@pytest.mark.parametrize("name", ["plain34", "resnet50", "slim_resnet_v2_50", "cifar_highway32", "resnet50d"])
def test_every_shortcut_is_drawn_as_its_chain_says(drawn: Drawn, name: str) -> None:
    network = plan(spec(name))
    chains = [block.shortcut for _, block in network.blocks if block.shortcut is not None]
    dashed = sum(any(layer.kind in ("convolution", "subsample") for _, layer in chain) for chain in chains)
    svg = drawn(network)
    assert named(svg, "shortcut-dashed") == dashed
    assert named(svg, "shortcut-solid") == len(chains) - dashed
    for kind in ("solid", "dashed"):
        for path in re.findall(rf'id="shortcut-{kind}-\d+".*?/>', svg, re.DOTALL):
            assert ("stroke-dasharray" in path) == (kind == "dashed")


@pytest.mark.parametrize(
    ("name", "changes", "label"),
    [
        ("resnext50_32x4d", {}, "3x3 conv, 256, 32 groups, /2"),
        ("resnet50", {"output_stride": 8}, "3x3 conv, 512, rate 4"),
        ("seresnet50", {}, "squeeze-excitation, 128"),
        ("resnet50d", {}, "avg pool, /2"),
        ("preresnet50", {}, "full pre-activation"),
        ("preresnet50", {}, "BN, ReLU"),
        ("preresnet50", {"norm": "group"}, "GN, ReLU"),
        ("resnet18", {"order": "relu_before_addition"}, "ReLU before addition"),
        ("resnet18", {"stochastic_depth": 0.2}, "stochastic depth 0.2"),
        ("cifar_resnet20", {}, "subsample, /2"),
        ("cifar_resnet20", {"shortcut": "scaling"}, "× 0.5"),  # noqa: RUF001
        ("cifar_resnet20", {"shortcut": "dropout"}, "dropout 0.5"),
        ("cifar_highway20", {}, "× g"),  # noqa: RUF001
    ],
)
def test_variants_are_told(drawn: Drawn, name: str, changes: dict[str, object], label: str) -> None:
    assert texts(drawn(plan(spec(name, **changes))))[label] > 0


@pytest.mark.parametrize("name", ["resnet152", "preresnet200", "cifar_resnet1202", "cifar_plain110"])
def test_deep_networks_are_folded_and_lose_no_unit(name: str) -> None:
    network = plan(spec(name))
    runs = [run for run in picture(network).runs if run.piece.unit]
    assert sum(run.count for run in runs) == sum(len(stage.blocks) for stage in network.stages)
    assert any(run.stacked for run in runs)
    assert len(runs) < 30


@pytest.mark.parametrize("name", ["vgg19", "plain34", "resnet34", "resnet50", "cifar_resnet20"])
def test_networks_of_the_papers_figures_are_drawn_in_full(name: str) -> None:
    assert not any(run.stacked for run in picture(plan(spec(name))).runs)


def first_boxes(plans: list[Plan]) -> list[dict[int, float]]:
    """For each network, the height at which each output side's first box begins."""
    found = []
    for column in lay_out([picture(one) for one in plans]).columns:
        pairs = list(zip(column.picture.runs, column.tops, strict=True))
        found.append({run.piece.side: top + lead(run) for run, top in reversed(pairs)})
    return found


def test_equal_sides_are_level() -> None:
    vgg, resnet, preactivated = first_boxes(planned("vgg19", "resnet152", "preresnet50"))
    assert resnet == preactivated
    assert resnet.items() <= vgg.items()


def test_plain_boxes_lie_beside_residual_ones() -> None:
    plain, residual = lay_out([picture(one) for one in planned("plain34", "resnet34")]).columns
    assert plain.tops == residual.tops


def test_networks_of_different_images_each_begin_at_the_top() -> None:
    imagenet, cifar = first_boxes(planned("resnet18", "cifar_resnet20"))
    assert imagenet[112] == cifar[32]


def test_a_side_that_grows_again_is_drawn(drawn: Drawn) -> None:
    assert texts(drawn(plan(spec("vgg16"), 32)))["avg pool to 7"] == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [(10, "10"), (1450, "1.45 k"), (25_557_032, "25.6 M"), (999_900, "1.00 M"), (4_089_184_256, "4.09 G")],
)
def test_quantities_have_three_digits(number: int, text: str) -> None:
    assert quantity(number) == text


def test_names_are_written_as_they_are(drawn: Drawn) -> None:
    odd = "a $ & <b> $"
    assert texts(drawn(plan(spec("tiny_resnet").edit(name=odd))))[odd] == 1
    assert texts(drawn(plan(spec("tiny_resnet").edit(name=""))))["network"] == 1


@pytest.mark.parametrize("suffix", [".svg", ".png", ".PNG"])
def test_the_same_networks_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    draw(planned("tiny_resnet"), first)
    draw(planned("tiny_resnet"), second)
    assert first.read_bytes() == second.read_bytes()
    assert sorted(tmp_path.iterdir()) == [first, second]


def test_the_users_matplotlib_settings_neither_matter_nor_change(drawn: Drawn) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    usual = drawn(*planned("tiny_resnet"))
    with matplotlib.rc_context({"font.size": 20, "savefig.bbox": "tight", "svg.hashsalt": "other"}):
        before = dict(matplotlib.rcParams)
        assert drawn(*planned("tiny_resnet")) == usual
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["net.pdf", "net", "svg"])
def test_other_suffixes_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: its name must end in \.svg or \.png\.$"):
        draw(planned("tiny_resnet"), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written: No such file or directory"):
        draw(planned("tiny_resnet"), tmp_path / "missing" / "net.svg")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.svg").mkdir()
    with pytest.raises(UserError, match="is a folder: name a file in it"):
        draw(planned("tiny_resnet"), tmp_path / "net.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["net.svg"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "net.svg"
    file.write_text("old")

    def full(path: Path, data: bytes) -> int:
        with path.open("wb") as part:
            part.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="No space left on device"):
        draw(planned("tiny_resnet"), file)
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_without_matplotlib_the_way_to_get_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r'pip install "residua\[plots\]"'):
        draw(planned("tiny_resnet"), tmp_path / "net.svg")


def test_no_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        draw([], tmp_path / "net.svg")
