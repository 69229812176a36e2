#!/usr/bin/python3
"""A drive in memory, with everything that a local file system has: hard links, symlinks, devices, holes, renames that exchange.

    memory.py [-o NAME=VALUE,...] DIRECTORY

As root. umount(8) or Ctrl-C ends it, and all that was on it is gone. -o sets properties and settings of the volume.
"""
from __future__ import annotations

import argparse
import errno
import itertools
import os
import random
import sys
import time
from typing import Any, Iterator

import tenon

PAGE = 4096
ZEROS = bytes(PAGE)
NO_END = 1 << 63
# The kernel's clock for files, which Python has no name for: a finer one would run ahead of what the kernel stamps itself.
CLOCK_REALTIME_COARSE = 5
# What set_file_attributes can change: a node has the names that the events have.
CHANGEABLE = {
    "mode": tenon.SET_MODE, "uid": tenon.SET_UID, "gid": tenon.SET_GID, "creation_time_ns": tenon.SET_CREATION_TIME,
    "last_access_time_ns": tenon.SET_LAST_ACCESS_TIME, "last_write_time_ns": tenon.SET_LAST_WRITE_TIME, "change_time_ns": tenon.SET_CHANGE_TIME,
}


def now() -> int:
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)


def fail(code: int, path: str) -> OSError:
    return OSError(code, os.strerror(code), path)


class Space:
    """What all files together may still take, in pages."""

    def __init__(self, total: int):
        self.total = self.free = total


class Pages:
    """The bytes of a file, in pages of 4 KiB. What was never written has no page, and reads as zeros."""

    def __init__(self, space: Space):
        self.space = space
        self.pages: dict[int, bytearray] = {}

    def __del__(self) -> None:
        self.space.free += len(self.pages)

    def pieces(self, position: int, size: int) -> Iterator[tuple[int, slice, slice]]:
        """A range of the file, page by page: the page's number, where in the page, where in the range."""
        done = 0
        while done < size:
            number, start = divmod(position + done, PAGE)
            length = min(size - done, PAGE - start)
            yield number, slice(start, start + length), slice(done, done + length)
            done += length

    def read(self, position: int, buffer: memoryview) -> None:
        for number, in_page, in_buffer in self.pieces(position, len(buffer)):
            buffer[in_buffer] = self.pages.get(number, ZEROS)[in_page]

    def write(self, position: int, data: memoryview) -> None:
        self.reserve(position, len(data))
        for number, in_page, in_data in self.pieces(position, len(data)):
            self.pages[number][in_page] = data[in_data]

    def reserve(self, position: int, size: int) -> None:
        """Give the whole range pages, or none: half a write is of no use to anybody."""
        numbers = range(position // PAGE, -(-(position + size) // PAGE))
        most = len(self.pages) + self.space.free
        missing = [number for number in numbers if number not in self.pages] if len(numbers) <= most else numbers
        if len(missing) > self.space.free:
            raise OSError(errno.ENOSPC, "the drive is full")
        self.pages.update((number, bytearray(PAGE)) for number in missing)
        self.space.free -= len(missing)

    def clear(self, position: int, end: int, keep: bool = False) -> None:
        """From position to end there are zeros. Pages that are not kept go, where all of a page is meant."""
        for number in [one for one in self.pages if position < (one + 1) * PAGE and one * PAGE < end]:
            start, stop = max(position - number * PAGE, 0), min(end - number * PAGE, PAGE)
            if stop - start == PAGE and not keep:
                del self.pages[number]
                self.space.free += 1
            else:
                self.pages[number][start:stop] = ZEROS[start:stop]


class Node:
    """A file, directory or special file, whatever it is called. It lives while anyone refers to it: a name, or a context."""

    def __init__(self, file_id: int, attributes: int, mode: int, uid: int, gid: int, space: Space):
        self.file_id = file_id
        self.attributes = attributes
        self.mode, self.uid, self.gid = mode, uid, gid
        self.reparse_tag = self.device = 0
        self.creation_time_ns = self.last_access_time_ns = self.last_write_time_ns = self.change_time_ns = now()
        # Its names: the directory and the text of each. A dict keeps their order, and finds one among many at once.
        self.names: dict[tuple[Node, str], None] = {}
        self.link_count = 0
        # What a directory, a file and a symlink have.
        self.entries: dict[str, Node] = {}
        self.size = 0
        self.pages = Pages(space)
        self.target = b""

    @property
    def is_directory(self) -> bool:
        return bool(self.attributes & tenon.FILE_ATTRIBUTE_DIRECTORY)

    def touch(self) -> None:
        self.last_write_time_ns = self.change_time_ns = now()

    def describe(self, e: tenon.CBFSGetFileInfoEventParams | tenon.CBFSEnumerateDirectoryEventParams) -> None:
        """Both events that describe a file have these members."""
        e.file_id = self.file_id
        e.attributes = self.attributes
        e.reparse_tag, e.device = self.reparse_tag, self.device
        e.mode, e.uid, e.gid = self.mode, self.uid, self.gid
        e.hard_link_count = self.link_count
        e.size = self.size
        e.allocation_size = len(self.pages.pages) * PAGE
        e.creation_time_ns, e.last_access_time_ns = self.creation_time_ns, self.last_access_time_ns
        e.last_write_time_ns, e.change_time_ns = self.last_write_time_ns, self.change_time_ns


class MemoryDrive:
    def __init__(self, size: int):
        self.space = Space(size // PAGE)
        self.ids = itertools.count(2)
        self.nodes: dict[int, Node] = {}  # those that have a name, by id
        self.label = ""
        self.root = Node(tenon.ROOT_ID, tenon.FILE_ATTRIBUTE_DIRECTORY, 0o755, os.geteuid(), os.getegid(), self.space)
        self.root.link_count = 2
        self.cbfs = tenon.CBFS()
        self.set_properties()
        self.set_handlers()

    def set_properties(self) -> None:
        self.cbfs.allow_other = True
        self.cbfs.use_hard_links = True
        self.cbfs.use_reparse_points = True
        self.cbfs.non_existent_files_cache_enabled = True
        # An open file may lose its last name: its context keeps the node. So nothing has to be hidden.
        self.cbfs.support_posix_unlink_rename = True
        # Paths are found fast enough: no open_file around events about files that are not open.
        self.cbfs.implicit_open = False
        # One event at a time: nothing here needs a lock, and Python would not run two at once anyway.
        self.cbfs.serialize_events = True
        # Space is counted in pages. They come when they are written to, and holes are kept.
        self.cbfs.config(f"SectorSize={PAGE}")
        self.cbfs.config("CorrectAllocationSizes=false")

    def set_handlers(self) -> None:
        self.cbfs.on_create_file = self.create_file
        self.cbfs.on_open_file = self.open_file
        self.cbfs.on_read_file = self.read_file
        self.cbfs.on_write_file = self.write_file
        self.cbfs.on_get_file_info = self.get_file_info
        self.cbfs.on_enumerate_directory = self.enumerate_directory
        self.cbfs.on_set_file_size = self.set_file_size
        self.cbfs.on_set_file_attributes = self.set_file_attributes
        self.cbfs.on_set_allocation_size = self.set_allocation_size
        self.cbfs.on_zeroize_file_range = self.zeroize_file_range
        self.cbfs.on_rename_or_move_file = self.rename_or_move_file
        self.cbfs.on_is_directory_empty = self.is_directory_empty
        self.cbfs.on_delete_file = self.delete_file
        self.cbfs.on_create_hard_link = self.create_hard_link
        self.cbfs.on_enumerate_hard_links = self.enumerate_hard_links
        # A drive with hard links must have this one, though contexts are let go of by themselves.
        self.cbfs.on_close_hard_links_enumeration = lambda e: None
        self.cbfs.on_get_file_name_by_file_id = self.get_file_name_by_file_id
        self.cbfs.on_set_reparse_point = self.set_reparse_point
        self.cbfs.on_get_reparse_point = self.get_reparse_point
        self.cbfs.on_get_volume_size = self.get_volume_size
        self.cbfs.on_get_volume_id = self.get_volume_id
        self.cbfs.on_get_volume_label = self.get_volume_label
        self.cbfs.on_set_volume_label = self.set_volume_label

    def find(self, path: str) -> Node:
        node = self.root
        for name in path.split("/"):
            if not node.is_directory:
                raise fail(errno.ENOTDIR, path)
            if name and name not in node.entries:
                raise fail(errno.ENOENT, path)
            node = node.entries[name] if name else node
        return node

    def find_place(self, path: str) -> tuple[Node, str]:
        """The directory that a path's last name is in, or is to be in, and that name."""
        parent, _, name = path.rpartition("/")
        return self.find(parent + "/"), name

    def node_of(self, e: Any) -> Node:
        """An open file has its node as its context; it may have no name any more. Else there is the path."""
        return e.file_context or self.find(e.file_name)

    def attach(self, parent: Node, name: str, node: Node) -> None:
        if name in parent.entries:
            raise fail(errno.EEXIST, name)
        parent.entries[name] = node
        node.names[parent, name] = None
        self.nodes[node.file_id] = node
        self.count(parent, name, node, 1)

    def detach(self, parent: Node, name: str) -> None:
        node = parent.entries.pop(name)
        del node.names[parent, name]
        if not node.names:
            del self.nodes[node.file_id]
        self.count(parent, name, node, -1)

    def count(self, parent: Node, name: str, node: Node, by: int) -> None:
        """A name more or less: a directory's counts its own "." too, and its parent's ".."."""
        node.link_count += 2 * by if node.is_directory else by
        parent.link_count += by if node.is_directory else 0
        node.change_time_ns = now()
        # Nobody is to notice hidden names.
        if not tenon.is_hidden_name(name):
            parent.touch()

    def create_file(self, e: tenon.CBFSCreateFileEventParams) -> None:
        kind = tenon.FILE_ATTRIBUTE_DIRECTORY if e.attributes & tenon.FILE_ATTRIBUTE_DIRECTORY else tenon.FILE_ATTRIBUTE_NORMAL
        node = Node(next(self.ids), kind, e.mode, e.uid, e.gid, self.space)
        self.attach(*self.find_place(e.file_name), node)
        e.file_context = node

    def create_hard_link(self, e: tenon.CBFSCreateHardLinkEventParams) -> None:
        self.attach(*self.find_place(e.link_name), self.node_of(e))

    def delete_file(self, e: tenon.CBFSDeleteFileEventParams) -> None:
        if self.find(e.file_name).entries:
            raise fail(errno.ENOTEMPTY, e.file_name)
        self.detach(*self.find_place(e.file_name))

    def rename_or_move_file(self, e: tenon.CBFSRenameOrMoveFileEventParams) -> None:
        node = self.find(e.file_name)
        old, new = self.find_place(e.file_name), self.find_place(e.new_file_name)
        replaced = new[0].entries.get(new[1])
        # Two names of one file: POSIX has it that nothing happens.
        if replaced is node:
            return
        if replaced:
            self.detach(*new)
        self.detach(*old)
        self.attach(*new, node)
        if replaced and e.exchange:
            self.attach(*old, replaced)

    def open_file(self, e: tenon.CBFSOpenFileEventParams) -> None:
        e.file_context = self.node_of(e)

    def read_file(self, e: tenon.CBFSReadFileEventParams) -> None:
        node = self.node_of(e)
        e.bytes_read = max(0, min(e.bytes_to_read, node.size - e.position))
        node.pages.read(e.position, memoryview(e.buffer)[:e.bytes_read])

    def write_file(self, e: tenon.CBFSWriteFileEventParams) -> None:
        node = self.node_of(e)
        node.pages.write(e.position, memoryview(e.buffer))
        node.size = max(node.size, e.position + e.bytes_to_write)
        e.bytes_written = e.bytes_to_write
        if not e.keep_times:
            node.touch()

    def set_file_size(self, e: tenon.CBFSSetFileSizeEventParams) -> None:
        node = self.node_of(e)
        # Also where the length stays: what is reserved behind it is given back.
        if e.size <= node.size:
            node.pages.clear(e.size, NO_END)
        node.size = e.size
        node.touch()

    def set_allocation_size(self, e: tenon.CBFSSetAllocationSizeEventParams) -> None:
        node = self.node_of(e)
        if e.length:
            node.pages.reserve(e.position, e.length)
            node.touch()
        else:
            node.pages.clear(max(node.size, e.allocation_size), NO_END)

    def zeroize_file_range(self, e: tenon.CBFSZeroizeFileRangeEventParams) -> None:
        node = self.node_of(e)
        if not e.punch_hole:
            node.pages.reserve(e.position, e.size)
        node.pages.clear(e.position, e.position + e.size, keep=not e.punch_hole)
        node.touch()

    def set_reparse_point(self, e: tenon.CBFSSetReparsePointEventParams) -> None:
        node = self.node_of(e)
        node.attributes = tenon.FILE_ATTRIBUTE_REPARSE_POINT
        node.reparse_tag, node.device = e.reparse_tag, e.device
        node.target = bytes(e.reparse_buffer)
        node.size = len(node.target)

    def get_reparse_point(self, e: tenon.CBFSGetReparsePointEventParams) -> None:
        target = self.node_of(e).target
        memoryview(e.reparse_buffer)[:len(target)] = target
        e.reparse_buffer_length = len(target)

    def get_file_info(self, e: tenon.CBFSGetFileInfoEventParams) -> None:
        try:
            node = self.node_of(e)
        except OSError:
            return  # That a path leads nowhere is an answer and not a failure.
        e.file_exists = True
        node.describe(e)

    def set_file_attributes(self, e: tenon.CBFSSetFileAttributesEventParams) -> None:
        node = self.node_of(e)
        node.change_time_ns = now()
        for member, bit in CHANGEABLE.items():
            if e.valid & bit:
                setattr(node, member, getattr(e, member))

    def list_directory(self, directory: Node) -> Iterator[tuple[str, Node]]:
        """The names that there are now, without those that are gone when it is their turn."""
        for name in list(directory.entries):
            if name in directory.entries and not tenon.is_hidden_name(name):
                yield name, directory.entries[name]

    def enumerate_directory(self, e: tenon.CBFSEnumerateDirectoryEventParams) -> None:
        if e.restart:
            e.enumeration_context = self.list_directory(e.directory_context or self.find(e.directory_name))
        found = next(e.enumeration_context, None)
        if found:
            e.file_found = True
            e.file_name, node = found
            node.describe(e)

    def is_directory_empty(self, e: tenon.CBFSIsDirectoryEmptyEventParams) -> None:
        directory = e.directory_context or self.find(e.directory_name)
        e.is_empty = all(map(tenon.is_hidden_name, directory.entries))

    def enumerate_hard_links(self, e: tenon.CBFSEnumerateHardLinksEventParams) -> None:
        if not e.enumeration_context:
            node = self.node_of(e)
            e.enumeration_context = (place for place in list(node.names) if place in node.names)
        place = next(e.enumeration_context, None)
        if place:
            parent, e.link_name = place
            e.parent_id = parent.file_id
            e.link_found = True

    def get_file_name_by_file_id(self, e: tenon.CBFSGetFileNameByFileIdEventParams) -> None:
        node = self.nodes.get(e.file_id)
        path = ""
        while node and node.names:
            node, name = next(iter(node.names))
            path = f"/{name}{path}"
        if node is not self.root:
            raise fail(errno.ENOENT, path)
        e.file_path = path

    def get_volume_size(self, e: tenon.CBFSGetVolumeSizeEventParams) -> None:
        e.total_sectors, e.available_sectors = self.space.total, self.space.free
        e.total_files, e.free_files = self.space.total, max(0, self.space.total - len(self.nodes))

    def get_volume_id(self, e: tenon.CBFSGetVolumeIdEventParams) -> None:
        e.volume_id = random.getrandbits(32)

    def get_volume_label(self, e: tenon.CBFSGetVolumeLabelEventParams) -> None:
        e.buffer = self.label

    def set_volume_label(self, e: tenon.CBFSSetVolumeLabelEventParams) -> None:
        self.label = e.volume_label


def set_option(cbfs: tenon.CBFS, option: str) -> None:
    """Properties are attributes in small letters, settings are texts."""
    name, _, value = option.partition("=")
    if not name.islower():
        cbfs.config(option)
    elif name == "file_cache":
        cbfs.file_cache = getattr(tenon, f"FILE_CACHE_{value.upper()}")
    else:
        setattr(cbfs, name, value == "true" if value in ("true", "false") else int(value))


def main() -> None:
    parser = argparse.ArgumentParser(description="Shows a drive in memory.")
    parser.add_argument("-o", dest="options", metavar="NAME=VALUE", action="append", default=[])
    parser.add_argument("directory")
    arguments = parser.parse_args()
    drive = MemoryDrive(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)  # half of the memory
    for option in filter(None, ",".join(arguments.options).split(",")):
        try:
            set_option(drive.cbfs, option)
        except (tenon.CBFSError, AttributeError, ValueError) as error:
            sys.exit(f"memory.py: -o {option}: {error}")
    try:
        drive.cbfs.serve(arguments.directory)
    except tenon.CBFSError as error:
        sys.exit(f"memory.py: {error}")


if __name__ == "__main__":
    main()
