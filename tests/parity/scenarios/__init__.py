"""The scenarios, one module per family of system calls. Importing this registers all of them."""
from . import (attributes, content, creating, deleting, directories, linking, locking, mapping, names, opening,  # noqa: F401
               permissions, preallocation, races, renaming, special, symlinks, times, transfer, watching)
