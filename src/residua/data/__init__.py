"""Data: pictures with labels, from wherever they are, read the one way that all of Residua reads them."""
