"""Where labelled pictures come from: folders, tables, CIFAR archives, the digits."""
