"""All layouts, in the order in which a file is held against them."""

from residua.weights.layouts.base import Layout
from residua.weights.layouts.huggingface import HuggingFace
from residua.weights.layouts.keras import Keras, KerasCounted
from residua.weights.layouts.slim import Slim
from residua.weights.layouts.torch_names import Akamaster, Own, Timm, TimmV2, Torchvision

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        Torchvision(),
        Timm(),
        TimmV2(),
        Akamaster(),
        HuggingFace(),
        Keras(),
        KerasCounted(),
        Slim(),
        Own(),
    )
}
