"""Networks of all depths and shapes, with few channels, so that they are quick."""

from residua import VggSpec
from residua.nets.spec import AnySpec


def narrow(network: AnySpec) -> AnySpec:
    """The same network with few channels."""
    hidden = {"hidden": 5} if isinstance(network, VggSpec) else {"stem_width": 8}
    widths = tuple(16 * place for place in range(1, len(network.widths) + 1))
    return network.edit(**hidden, widths=widths)
