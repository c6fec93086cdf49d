"""Published weights, class names, and which folder means which class."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from string import ascii_letters

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from residua.errors import UserError
from residua.nets.zoo import NAMES, spec
from residua.weights.classes import find_class, imagenet_classes, match_classes, read_class_map, read_classes
from residua.weights.metadata import ClassEntry
from residua.weights.published import all_published, by_digest, published

IDS = [entry.id for entry in imagenet_classes()]
LABELS = [entry.name for entry in imagenet_classes()]
SHARED = {"cardigan", "crane", "maillot"}  # labels of two classes
UNIQUE = [place for place, label in enumerate(LABELS) if label.casefold() not in SHARED]


def place(entry_id: str) -> int:
    return IDS.index(entry_id)


def test_every_published_file_is_of_a_network_of_the_zoo() -> None:
    rows = all_published()
    assert len(rows) == 21
    assert len({(row.name, row.version) for row in rows}) == len({row.sha256 for row in rows}) == 21
    for row in rows:
        assert row.name in NAMES
        assert len(row.classes) == spec(row.name).num_classes == 1000
        assert row.version in ("V1", "V2")


def test_urls_carry_the_hash() -> None:
    for row in all_published():
        assert row.url.startswith("https://")
        assert row.url.endswith(f"/{row.file_name}")
        assert len(bytes.fromhex(row.sha256)) == 4
        assert row.file_name == f"{row.name}-{row.sha256}.pth"


def test_accuracies_are_sane_and_newer_recipes_better() -> None:
    for row in all_published():
        assert row.accuracy.top5 is not None
        assert 69 < row.accuracy.top1 < 84
        assert row.accuracy.top1 + 10 < row.accuracy.top5 < 97
        assert row.preprocessing.size == 224
        better = row.version == "V2" or row.name == "resnext101_64x4d"
        assert row.preprocessing.resize == (232 if better else 256)
        assert (row.accuracy.top1 > 80) == better


def test_resnet50_is_as_published() -> None:
    row = published("resnet50")
    assert row == published("resnet50", "V2")
    assert row.url == "https://download.pytorch.org/models/resnet50-11ad3fa6.pth"
    assert (row.accuracy.top1, row.accuracy.top5) == (80.858, 95.434)
    assert (row.preprocessing.resize, row.preprocessing.interpolation) == (232, "bilinear")
    assert row.preprocessing.mean == (0.485, 0.456, 0.406)
    assert published("resnet50", "V1").accuracy.top1 == 76.13
    assert published("vgg16_bn").version == "V1"


@pytest.mark.parametrize(
    ("name", "version", "message"),
    [
        ("resnet51", None, "'resnet51': did you mean .*resnet50"),
        ("resnext50_32x4", None, "did you mean resnext50_32x4d"),
        ("resnet200", None, "unknown published weights 'resnet200'"),
        ("resnet18", "V2", "unknown version of resnet18 'V2': did you mean V1"),
        ("resnet50", "newest", "valid are V1, V2"),
    ],
)
def test_unknown_names_and_versions(name: str, version: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        published(name, version)


def test_files_are_recognised_by_the_hash_of_their_bytes() -> None:
    for row in all_published():
        assert by_digest(row.sha256 + "0" * 56) == row
        assert by_digest((row.sha256 + "f" * 56).upper()) == row
    assert by_digest(hashlib.sha256(b"something else").hexdigest()) is None
    assert by_digest("11ad3fa") is None
    assert by_digest("") is None


def test_imagenet_has_its_thousand_classes() -> None:
    assert len(IDS) == len(set(IDS)) == 1000
    assert sorted(IDS) == IDS
    assert all(len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdecimal() for wnid in IDS)
    assert all(label and label == label.strip() and label.isascii() for label in LABELS)
    known = {
        0: "tench",
        207: "golden retriever",
        281: "tabby",
        463: "bucket",
        817: "sports car",
        999: "toilet tissue",
    }
    assert {index: LABELS[index] for index in known} == known


def test_labels_that_two_classes_share_are_told_apart_by_id() -> None:
    assert (LABELS[place("n02012849")], LABELS[place("n03126707")]) == ("crane bird", "crane")
    assert (LABELS[place("n03710637")], LABELS[place("n03710721")]) == ("maillot", "maillot tank suit")
    assert (LABELS[place("n02113186")], LABELS[place("n02963159")]) == ("Cardigan", "cardigan")
    assert len({label.casefold() for label in LABELS}) == 999


@given(st.lists(st.sampled_from(range(1000)), unique=True))
def test_every_id_names_its_class(places: list[int]) -> None:
    folders = [IDS[index] for index in places]
    assert match_classes(imagenet_classes(), folders) == dict(zip(folders, places, strict=True))


def _spelled(label: str, cases: list[bool], spaces: list[str]) -> str:
    letters = (a.upper() if up else a.lower() for a, up in zip(label, cases * len(label), strict=False))
    return "".join(spaces[i % len(spaces)] if a == " " else a for i, a in enumerate(letters))


@given(
    st.sampled_from(UNIQUE),
    st.lists(st.booleans(), min_size=1, max_size=9),
    st.lists(st.sampled_from([" ", "_", "  ", "__"]), min_size=1, max_size=3),
)
def test_a_unique_name_names_its_class_in_every_spelling(
    index: int, cases: list[bool], spaces: list[str]
) -> None:
    folder = _spelled(LABELS[index], cases, spaces)
    assert match_classes(imagenet_classes(), [folder]) == {folder: index}


@given(
    st.permutations([ClassEntry(id=f"id{n}", name=name) for n, name in enumerate(["a", "B b", "ç", "id9"])])
)
def test_the_index_follows_the_order_of_the_classes(entries: list[ClassEntry]) -> None:
    by_name = match_classes(entries, [entry.name for entry in entries])
    by_id = match_classes(entries, [entry.id for entry in entries])
    assert list(by_name.values()) == list(by_id.values()) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("folder", "ids"),
    [
        ("crane", ("n02012849", "n03126707")),
        ("Maillot", ("n03710637", "n03710721")),
        ("CARDIGAN", ("n02113186", "n02963159")),
    ],
)
def test_a_shared_name_is_an_error_that_names_both(folder: str, ids: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=rf"'{folder}' may be {ids[0]} .* or {ids[1]} .*--class-map FILE"):
        match_classes(imagenet_classes(), ["tench", folder])
    assert match_classes(imagenet_classes(), [folder], {folder: ids[1]}) == {folder: place(ids[1])}


def test_clearer_names_are_unique() -> None:
    found = match_classes(imagenet_classes(), ["crane_bird", "maillot tank suit"])
    assert list(found.values()) == [place("n02012849"), place("n03710721")]


def test_accents_match_however_they_are_written() -> None:
    entries = [ClassEntry(id="caf\u00e9", name="caf\u00e9"), ClassEntry(id="tea", name="tea")]
    assert match_classes(entries, ["cafe\u0301"]) == {"cafe\u0301": 0}
    assert match_classes(entries, ["cafe\u0301"], {"caf\u00e9": "tea"}) == {"cafe\u0301": 1}


def test_an_exact_id_comes_before_a_name() -> None:
    entries = [ClassEntry(id="a", name="x"), ClassEntry(id="A", name="y"), ClassEntry(id="b", name="a")]
    assert match_classes(entries, ["a", "A"]) == {"a": 0, "A": 1}


@settings(max_examples=20)
@given(st.lists(st.text(ascii_letters, min_size=1).map(lambda text: f"my {text}"), min_size=1, unique=True))
def test_unfamiliar_folders_are_listed_and_counted(folders: list[str]) -> None:
    with pytest.raises(UserError) as failure:
        match_classes(imagenet_classes(), ["tench", *folders])
    text = str(failure.value)
    assert text.startswith(f"{len(folders)} folder")
    assert [repr(folder) in text for folder in folders[:8]] == [True] * len(folders[:8])
    assert text.count("'my ") == min(8, len(folders))
    assert "--class-map FILE" in text
    assert "tench" not in text
    assert match_classes(imagenet_classes(), folders, dict.fromkeys(folders, "Tench")) == dict.fromkeys(
        folders, 0
    )


def test_a_map_to_no_class_is_named() -> None:
    with pytest.raises(UserError, match=r"'dogs' \(mapped to 'dog'; did you mean 'dough'\?\)"):
        match_classes(imagenet_classes(), ["dogs"], {"dogs": "dog", "cats": "tabby"})


def test_what_is_no_class_comes_with_the_nearest_and_nothing_else_is_named() -> None:
    with pytest.raises(UserError) as failure:
        match_classes(imagenet_classes(), ["golden_retriever", "goldfihs", "qqq", "Tench"])
    assert "classes: 'goldfihs' (did you mean 'goldfish'?), 'qqq'; map" in str(failure.value)
    assert "retriever" not in str(failure.value)


def test_a_class_is_found_by_id_or_name_in_every_spelling() -> None:
    for name in ("n02099601", "golden retriever", "Golden_Retriever"):
        assert find_class(imagenet_classes(), name) == 207
    with pytest.raises(UserError, match=r"'crane' may be n02012849 .* or n03126707 .*: name it by its id"):
        find_class(imagenet_classes(), "crane")
    with pytest.raises(UserError, match="unknown class 'golden retreiver': did you mean golden retriever"):
        find_class(imagenet_classes(), "golden retreiver")


def test_several_folders_may_mean_one_class() -> None:
    assert match_classes(imagenet_classes(), ["tench", "n01440764"]) == {"tench": 0, "n01440764": 0}
    assert match_classes(imagenet_classes(), []) == {}


Write = Callable[[str | bytes], Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "folder,class\ncats,tabby\nbig dogs,n02099601\n",
        "\ufeffFolder, Class\r\ncats, tabby\r\n\r\nbig dogs,n02099601",
        'folder,class\n"cats","tabby"\ncats,tabby\nbig dogs,n02099601\n,\n',
    ],
)
def test_a_class_map_is_read(written: Write, text: str) -> None:
    assert read_class_map(written(text)) == {"cats": "tabby", "big dogs": "n02099601"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "first line is not folder,class"),
        ("cats,tabby\n", "first line is not folder,class"),
        ("folder,class\ncats\n", "line 2 is not folder,class"),
        ("folder,class\ncats,\n", "line 2 is not folder,class"),
        ("folder,class\na,b,c\n", "line 2 is not folder,class"),
        ('folder,class\n"cats,tabby\n', "line 2 is not CSV"),
        ("folder,class\ncats,tabby\ncats,lynx\n", "'cats' is mapped twice"),
        (b"folder,class\n\xff,tabby\n", "not text in UTF-8"),
        (b"folder,class\n" + b"x" * 10_000_000, "more than 10,000,000 bytes"),
        ("folder,class\na," + "x" * 200_000, "line 2 is not CSV"),
    ],
)
def test_a_wrong_class_map_is_one_sentence(written: Write, content: str | bytes, message: str) -> None:
    path = written(content)
    with pytest.raises(UserError, match=message) as failure:
        read_class_map(path)
    assert str(path) in str(failure.value)


@pytest.mark.parametrize(
    "text",
    [
        "id,name\nn1,red fox\nn2,crane\nn3,crane\n",
        json.dumps({"0": ["n1", "red fox"], "1": ["n2", "crane"], "2": ["n3", "crane"]}),
        json.dumps({"2": ["n3", "crane"], "1": ["n2", "crane"], "0": ["n1", "red fox"]}, indent=1),
        json.dumps([["n1", "red fox"], ["n2", "crane"], ["n3", "crane"]]),
    ],
)
def test_classes_with_ids_are_read(written: Write, text: str) -> None:
    entries = [(entry.id, entry.name) for entry in read_classes(written(text))]
    assert entries == [("n1", "red fox"), ("n2", "crane"), ("n3", "crane")]


@pytest.mark.parametrize(
    "text",
    [
        "red fox\ncrane, bird\n",
        "\ufeffred fox\r\n crane, bird\r\n\r\n",
        '["red fox", "crane, bird"]',
        '{"0": "red fox", "1": "crane, bird"}',
    ],
)
def test_classes_without_ids_are_read(written: Write, text: str) -> None:
    names = ("red fox", "crane, bird")
    assert read_classes(written(text)) == tuple(ClassEntry(id=name, name=name) for name in names)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("id,name\n", "it is empty"),
        ("[]", "it is empty"),
        ("a\n\nb\n", "class 1 has no name"),
        ('["a", ""]', "class 1 has no name"),
        ("a\nb\na\n", "classes 0 and 2 are both 'a'"),
        ("id,name\nx,a\nx,b\n", "classes 0 and 1 are both 'x'"),
        ("id,name\nx\n", "line 2 is not id,name"),
        ("[1, 2]", "class 0 is neither"),
        ('[["a", "b", "c"]]', "class 0 is neither"),
        ('{"cat": 0, "dog": 1}', "keys of its 2 classes are not 0, 1, 2"),
        ('{"1": "a", "2": "b"}', "keys of its 2 classes are not 0, 1, 2"),
        ("{0: 'tench'}", "not JSON"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"x" * 10_000_001, "more than 10,000,000 bytes"),
    ],
)
def test_wrong_classes_are_one_sentence(written: Write, content: str | bytes, message: str) -> None:
    path = written(content)
    with pytest.raises(UserError, match=message) as failure:
        read_classes(path)
    assert str(path) in str(failure.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    for read in (read_classes, read_class_map):
        with pytest.raises(UserError, match="cannot be read: No such file"):
            read(tmp_path / "absent")
        with pytest.raises(UserError, match="cannot be read: Is a directory"):
            read(tmp_path)
