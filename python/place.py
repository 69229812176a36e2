"""place.py PREFIX: prints where this interpreter looks for packages below a prefix, or would if it were installed there.

Debian has folders of its own, which sysconfig does not tell for a prefix.
"""
import site
import sys
import sysconfig

prefix = sys.argv[1]
known = [folder for folder in site.getsitepackages() if folder.startswith(prefix + "/lib")]
print(*known[:1] or [sysconfig.get_path("platlib", "posix_prefix", {"base": prefix, "platbase": prefix})])
