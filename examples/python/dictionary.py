"""A dictionary as a drive, to read and write: python3 dictionary.py DIRECTORY, as root. umount(8) or Ctrl-C ends it."""
import sys
import tenon

files = {"/hello.txt": b"Hello from a dictionary.\n"}

def get_file_info(e):
    e.file_exists = e.file_name == "/" or e.file_name in files
    e.attributes = tenon.FILE_ATTRIBUTE_DIRECTORY if e.file_name == "/" else tenon.FILE_ATTRIBUTE_NORMAL
    e.size = len(files.get(e.file_name, b""))
def enumerate_directory(e):
    e.enumeration_context = e.enumeration_context or iter(sorted(files))
    e.file_name = next(e.enumeration_context, "/")[1:]
    e.file_found = e.file_name != ""

def read_file(e):
    data = files[e.file_name][e.position:e.position + e.bytes_to_read]
    memoryview(e.buffer)[:len(data)] = data
    e.bytes_read = len(data)
def write_file(e):
    data = files[e.file_name].ljust(e.position, b"\0")
    files[e.file_name] = data[:e.position] + e.buffer + data[e.position + e.bytes_to_write:]
    e.bytes_written = e.bytes_to_write
def set_file_size(e): files[e.file_name] = files[e.file_name][:e.size].ljust(e.size, b"\0")

def create_file(e):
    if e.attributes & tenon.FILE_ATTRIBUTE_DIRECTORY: raise PermissionError(1, "there are no directories here")
    files[e.file_name] = b""
def rename_or_move_file(e):
    if e.exchange: files[e.file_name], files[e.new_file_name] = files[e.new_file_name], files[e.file_name]
    else: files[e.new_file_name] = files.pop(e.file_name)
def delete_file(e): del files[e.file_name]
def set_file_attributes(e): pass  # times, owners and modes are not kept

cbfs = tenon.CBFS()
for handler in (get_file_info, enumerate_directory, read_file, write_file, set_file_size, create_file, rename_or_move_file, delete_file,
                set_file_attributes):
    setattr(cbfs, f"on_{handler.__name__}", handler)
cbfs.serve(sys.argv[1])
