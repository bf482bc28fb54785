# SPDX-License-Identifier: GPL-2.0
"""Error codes that the crate `kernel` of Linux 7.2 lacks: compat/ declares those that the code
uses. Nothing here compiles for that kernel; TESTS=compat does.
"""

import re

DECLARED = "compat/linux_7_2/kernel.rs"
_OLD = set("""
    E2BIG EACCES EAGAIN EBADCOOKIE EBADF EBADHANDLE EBADTYPE EBUSY ECHILD EDOM EEXIST EFAULT EFBIG
    EINTR EINVAL EIO EIOCBQUEUED EISDIR EJUKEBOX EMFILE EMLINK EMSGSIZE ENFILE ENODEV ENOENT ENOEXEC
    ENOGRACE ENOIOCTLCMD ENOMEM ENOPARAM ENOSPC ENOTBLK ENOTDIR ENOTSUPP ENOTSYNC ENOTTY ENXIO
    EOPENSTALE EOVERFLOW EPERM EPIPE EPROBE_DEFER ERANGE ERECALLCONFLICT ERESTARTNOHAND
    ERESTARTNOINTR ERESTARTSYS ERESTART_RESTARTBLOCK EROFS ESERVERFAULT ESPIPE ESRCH ETIMEDOUT
    ETOOSMALL ETXTBSY EXDEV
""".split())
_COMMENT = re.compile(r"//[^\n]*")
_NAME = re.compile(r"\bE[A-Z0-9]+\b")


def of_kernel(text):
    """The codes that rust/kernel/error.rs of a kernel has."""
    return set(re.findall(r"declare_err!\((E\w+)", text))


def declared(text):
    """Those that compat/ declares."""
    return set(_NAME.findall(" ".join(re.findall(r"declare!\(([^)]*)\)", text))))


def check(new, has, files):
    """What is wrong with files, {path: text}: `new` codes are the kernel's, `has` those of compat/."""
    return [f"{path}: {DECLARED} does not declare {name}"
            for path, text in files.items()
            for name in sorted((set(_NAME.findall(_COMMENT.sub("", text))) & new) - _OLD - has)]


def complaints(top, source, files):
    """The same of the tree, beside the source of a kernel."""
    text = (source / "rust/kernel/error.rs").read_text(encoding="utf-8")
    has = declared((top / DECLARED).read_text(encoding="utf-8"))
    return check(of_kernel(text), has, {path: text for path, text in files.items()
                                        if path.endswith(".rs") and path != DECLARED})
