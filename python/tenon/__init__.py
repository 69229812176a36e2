"""A program answers a few dozen events, and the operating system shows a real drive.

    import tenon

    cbfs = tenon.CBFS()
    cbfs.on_get_file_info = ...
    cbfs.serve("/mnt/drive")

help(tenon.CBFS) has the events, properties and methods; tenon.testing tests a drive without a mount.
"""
from tenon._tenon import *  # noqa: F403
from tenon._base import CBFSError as CBFSError, Token as Token
from tenon._cbfs import CBFS as CBFS

for _public in (CBFSError, Token, CBFS):
    _public.__module__ = __name__
del _public
