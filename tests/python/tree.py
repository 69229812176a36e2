"""The least drive with all kinds of files: one dict from paths to files. examples/python/memory.py is what a drive should be."""
from __future__ import annotations

import errno
import itertools
import os
import time

import tenon

DIRECTORY, REPARSE = tenon.FILE_ATTRIBUTE_DIRECTORY, tenon.FILE_ATTRIBUTE_REPARSE_POINT
ATTRIBUTES = ("mode", "uid", "gid", "attributes", "reparse_tag", "device")


class Item:
    """A file, whatever it is."""

    def __init__(self, number: int, **attributes: int) -> None:
        self.id = number
        self.data = bytearray()
        self.atime = self.mtime = self.birth = time.time_ns()
        self.attributes = attributes


class Tree:
    """A drive."""

    def __init__(self) -> None:
        self.cbfs = tenon.CBFS()
        self.cbfs.use_hard_links = self.cbfs.use_reparse_points = True
        self.items = {"/": Item(tenon.ROOT_ID, mode=0o755, attributes=DIRECTORY)}
        self.numbers = itertools.count(2)
        self.label = ""
        self.before = lambda name, e: None  # called at the beginning of each event
        for name in dir(type(self)):
            if name.startswith("on_"):
                setattr(self.cbfs, name, self.handler(name[3:]))

    def handler(self, name):
        handle = getattr(self, "on_" + name)

        def called(e):
            self.before(name, e)
            handle(e)
        return called

    def names(self, item):
        return [path for path, other in list(self.items.items()) if other is item]

    @staticmethod
    def is_in(top, path):
        return path.startswith(top) and path != "/" and "/" not in path[len(top):]

    def tell(self, e, item):
        for name, value in item.attributes.items():
            setattr(e, name, value)
        e.file_id, e.size, e.hard_link_count = item.id, len(item.data), len(self.names(item))
        e.last_access_time_ns, e.last_write_time_ns, e.creation_time_ns = item.atime, item.mtime, item.birth

    def on_get_file_info(self, e):
        item = self.items.get(e.file_name)
        e.file_exists = item is not None
        if item:
            self.tell(e, item)

    def on_enumerate_directory(self, e):
        if e.restart:
            top = e.directory_name.rstrip("/") + "/"
            e.enumeration_context = iter([each for each in list(self.items.items()) if self.is_in(top, each[0])])
        path, item = next(e.enumeration_context, ("", None))
        if item:
            e.file_found, e.file_name = True, os.path.basename(path)
            self.tell(e, item)
    on_close_directory_enumeration = on_open_file = on_close_hard_links_enumeration = on_flush_file = lambda self, e: None
    on_cleanup_file = on_close_file = on_set_allocation_size = on_open_file

    def on_create_file(self, e):
        if e.file_name in self.items:
            raise FileExistsError(errno.EEXIST, "taken")
        values = {name: getattr(e, name) for name in ATTRIBUTES}
        self.items[e.file_name] = Item(next(self.numbers), **values)

    def on_read_file(self, e):
        data = self.items[e.file_name].data[e.position:e.position + e.bytes_to_read]
        memoryview(e.buffer)[:len(data)] = data
        e.bytes_read = len(data)

    def on_write_file(self, e):
        data = self.items[e.file_name].data
        data.extend(bytes(max(0, e.position - len(data))))
        data[e.position:e.position + e.bytes_to_write] = e.buffer
        e.bytes_written = e.bytes_to_write

    def on_zeroize_file_range(self, e):
        data = self.items[e.file_name].data
        data[e.position:e.position + e.size] = bytes(min(e.size, max(0, len(data) - e.position)))

    def on_set_file_size(self, e):
        data = self.items[e.file_name].data
        del data[e.size:]
        data.extend(bytes(e.size - len(data)))

    def on_set_file_attributes(self, e):
        item = self.items[e.file_name]
        for bit, name in (tenon.SET_MODE, "mode"), (tenon.SET_UID, "uid"), (tenon.SET_GID, "gid"):
            if e.valid & bit:
                item.attributes[name] = getattr(e, name)
        if e.valid & tenon.SET_LAST_ACCESS_TIME:
            item.atime = e.last_access_time_ns
        if e.valid & tenon.SET_LAST_WRITE_TIME:
            item.mtime = e.last_write_time_ns

    def on_rename_or_move_file(self, e):
        old, new = e.file_name, e.new_file_name
        if e.exchange:
            self.items[old], self.items[new] = self.items[new], self.items[old]
            return
        for path in [path for path in list(self.items) if path == old or path.startswith(old + "/")]:
            self.items[new + path[len(old):]] = self.items.pop(path)

    def on_delete_file(self, e):
        del self.items[e.file_name]

    def on_create_hard_link(self, e):
        self.items[e.link_name] = self.items[e.file_name]

    def on_get_file_name_by_file_id(self, e):
        paths = [path for path, item in list(self.items.items()) if item.id == e.file_id]
        if not paths:
            raise FileNotFoundError(errno.ENOENT, "no such id")
        e.file_path = paths[0]

    def on_enumerate_hard_links(self, e):
        left = e.enumeration_context = e.enumeration_context or iter(self.names(self.items[e.file_name]))
        path = next(left, None)
        if path:
            e.link_found, e.link_name, e.parent_id = True, os.path.basename(path), self.items[os.path.dirname(path)].id

    def on_set_reparse_point(self, e):
        self.items[e.file_name].data[:] = bytes(e.reparse_buffer)

    def on_get_reparse_point(self, e):
        data = self.items[e.file_name].data
        memoryview(e.reparse_buffer)[:len(data)] = data
        e.reparse_buffer_length = len(data)

    def on_get_volume_size(self, e):
        e.total_sectors, e.available_sectors, e.total_files, e.free_files = 1000, 400, 50, 50 - len(self.items)

    def on_get_volume_label(self, e):
        e.buffer = self.label

    def on_set_volume_label(self, e):
        self.label = e.volume_label
