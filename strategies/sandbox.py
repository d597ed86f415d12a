"""Shuts the calling process in, for good, before somebody else's program is loaded into it.

Landlock says which files it may touch and that it may signal and trace only its own; seccomp keeps it in its process
group and away from the kernel's rarer doors; capabilities are dropped; limits are set. Linux only: elsewhere `offers`
says that nothing of it is there. Standard library only, and no more of it than needed: it runs before every strategy.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable
from typing import Any

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_FILTER = 2
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_BENEATH = 1
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522

NICE = 7
"""Of every strategy: about a fifth of the weight that the platform has on a busy core."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE = sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL
_BIND = 1 << 0
_SCOPE_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1

SYSTEM_RUN = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/opt/python", "/nix/store")
SYSTEM_READ = (
    *("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf"),
    *("/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/protocols", "/etc/localtime"),
    *(
        "/etc/timezone",
        "/etc/passwd",
        "/etc/group",
        "/etc/ld.so.cache",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
    ),
    *("/etc/mime.types", "/etc/alternatives", "/run/systemd/resolve", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/version", "/proc/filesystems"),
    *("/sys/devices/system/cpu", "/dev/random", "/dev/urandom", "/dev/zero"),
)
SYSTEM_WRITE = ("/dev/null", "/dev/full")


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (word.partition("=") for word in text.split())}


_NUMBERS = {
    "x86_64": _table(
        """
        setsid=112 setpgid=109 ptrace=101 process_vm_readv=310 process_vm_writev=311 mount=165
        umount2=166 pivot_root=155 chroot=161 unshare=272 setns=308 bpf=321 perf_event_open=298
        kexec_load=246 kexec_file_load=320 userfaultfd=323 init_module=175 finit_module=313
        delete_module=176 open_by_handle_at=304 add_key=248 request_key=249 keyctl=250 swapon=167
        swapoff=168 reboot=169 settimeofday=164 clock_settime=227 adjtimex=159 acct=163 syslog=103
        io_uring_setup=425 move_mount=429 open_tree=428 fsopen=430 mount_setattr=442 pidfd_getfd=438
        process_madvise=440 kcmp=312 iopl=172 ioperm=173 chown=92 lchown=94 fchownat=260 setxattr=188
        lsetxattr=189 removexattr=197 lremovexattr=198 setxattrat=463 removexattrat=466
        """
    ),
    "aarch64": _table(
        """
        setsid=157 setpgid=154 ptrace=117 process_vm_readv=270 process_vm_writev=271 mount=40 umount2=39
        pivot_root=41 chroot=51 unshare=97 setns=268 bpf=280 perf_event_open=241 kexec_load=104
        kexec_file_load=294 userfaultfd=282 init_module=105 finit_module=273 delete_module=106
        open_by_handle_at=265 add_key=217 request_key=218 keyctl=219 swapon=224 swapoff=225 reboot=142
        settimeofday=170 clock_settime=112 adjtimex=171 acct=89 syslog=116 io_uring_setup=425
        move_mount=429 open_tree=428 fsopen=430 mount_setattr=442 pidfd_getfd=438 process_madvise=440
        kcmp=272 fchownat=54 setxattr=5 lsetxattr=6 removexattr=14 lremovexattr=15 setxattrat=463
        removexattrat=466
        """
    ),
}
_IGNORED = {
    "x86_64": _table("chmod=90 fchmodat=268 fchmodat2=452"),
    "aarch64": _table("fchmodat=53 fchmodat2=452"),
}
"""Landlock lets modes be changed anywhere. Copying a file asks for it, so asking is answered well and does nothing."""
_SOCKET = {"x86_64": 41, "aarch64": 198}
_AF_UNIX = 1
_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000
_PTRS: Any = None


def offers(*, groups: bool = False) -> dict[str, str]:
    """What this system holds a strategy to: part -> how, "" where it does not. `groups`: runs get control groups."""
    abi, machine = landlock_version(), platform.machine()
    scoped = "other processes can be neither signalled nor traced" if abi >= 6 else ""
    posix = os.name == "posix"
    return {
        "files": f"Landlock {abi}: only its own directory, and Python to read" if abi > 0 else "",
        "processes": scoped or ("other processes cannot be traced" if abi > 0 else ""),
        "ports": "cannot open a TCP port" if abi >= 4 else "",
        "group": "cannot leave its process group" if machine in _NUMBERS and _is_linux() else "",
        "sockets": "none with a path" if machine in _NUMBERS and _is_linux() else "",
        "privileges": "none, for good" if _is_linux() else "",
        "descriptors": "rlimit" if posix else "",
        "memory": "its control group" if groups else "rlimit, and watched each second" if posix else "",
        "disk": "rlimit for a file, watched for the directory" if posix else "",
        "count": "its control group" if groups else "watched each second" if posix else "",
        "CPU": _cpu_held(groups),
    }


def _cpu_held(groups: bool) -> str:
    behind = "behind the platform when both want it"
    if groups:
        return f"its control group: its limit, and {behind}"
    if _is_linux():
        return f"its limit, by pauses of the whole run; {behind}, by priority"
    return f"no limit; {behind}, by priority" if os.name == "posix" else ""


def landlock_version() -> int:
    """The kernel's Landlock ABI, 0 when there is none."""
    if not _is_linux():
        return 0
    found: int = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return max(0, found)


def confine_files(run: Iterable[str], read: Iterable[str], write: Iterable[str]) -> bool:
    """Allow files beneath these paths and no other, and signals within. False where the kernel has no Landlock."""
    abi = landlock_version()
    if abi == 0:
        return False
    handled = EXECUTE | WRITE_FILE | READ | _MAKE
    handled |= (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0) | (_IOCTL if abi >= 5 else 0)
    net = _BIND if abi >= 4 else 0
    scoped = _SCOPE_SOCKETS | _SCOPE_SIGNALS if abi >= 6 else 0
    attribute = struct.pack("<QQQ", handled, net, scoped)[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = _checked(_libc().syscall(_CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), 0))
    try:
        for paths, allowed in ((run, RUN), (read, READ), (write, handled & ~EXECUTE)):
            for path in paths:
                _allow(ruleset, path, allowed & handled)
        forbid_new_privileges()
        _checked(_libc().syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        is_folder = os.fstat(place).st_mode & 0o170000 == 0o040000
        rule = struct.pack("<Qi", allowed if is_folder else allowed & OF_A_FILE, place)
        _checked(_libc().syscall(_ADD_RULE, ruleset, _BENEATH, rule, 0))
    finally:
        os.close(place)


def forbid_new_privileges() -> None:
    """No program run from here on gains rights by its owner or its file's capabilities."""
    _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def drop_capabilities() -> bool:
    """Give up what root may do beyond a user. Raises OSError when the kernel refuses."""
    number = _CAPSET.get(platform.machine())
    if number is None or not _is_linux():
        return False
    header, nothing = struct.pack("<Ii", _CAPABILITY_VERSION, 0), struct.pack("<6I", *(0,) * 6)
    _checked(_libc().syscall(number, header, nothing))
    return True


def filter_calls() -> bool:
    """Refuse system calls that a strategy has no use for, with EPERM. False on a processor we have no table of."""
    machine = platform.machine()
    if machine not in _NUMBERS or not _is_linux():
        return False
    program = _program(machine)
    code = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    forbid_new_privileges()
    _checked(_libc().prctl(_PR_SET_SECCOMP, _FILTER, header, 0, 0))
    return True


def _program(machine: str) -> list[bytes]:
    """The filter in classic BPF: another architecture's calls kill, listed ones get EPERM, the rest pass.

    So do sockets with a path: a database or a container daemon on this machine may know us by our user alone.
    """
    load, jump_equal, jump_least, answer = 0x20, 0x15, 0x35, 0x06
    kill, refuse, allow, ignore = 0x80000000, 0x00050000 | errno.EPERM, 0x7FFF0000, 0x00050000
    tests = [(number, "refuse") for number in sorted(_NUMBERS[machine].values())]
    tests += [(number, "ignore") for number in sorted(_IGNORED[machine].values())]
    tests.append((_SOCKET[machine], "socket"))
    first = 5
    end = first + len(tests)
    places = {"allow": end, "refuse": end + 1, "ignore": end + 2, "socket": end + 3}
    steps = [
        (load, 0, 0, 4),
        (jump_equal, 1, 0, _ARCHITECTURE[machine]),
        (answer, 0, 0, kill),
        (load, 0, 0, 0),
        (jump_least, places["refuse"] - first, 0, _X32),
        *((jump_equal, places[what] - first - at - 1, 0, number) for at, (number, what) in enumerate(tests)),
        (answer, 0, 0, allow),
        (answer, 0, 0, refuse),
        (answer, 0, 0, ignore),
        (load, 0, 0, 16),
        (jump_equal, 1, 0, _AF_UNIX),
        (answer, 0, 0, allow),
        (answer, 0, 0, refuse),
    ]
    return [struct.pack("<HBBI", *step) for step in steps]


def limit(*, memory: int, files: int, file_size: int, processes: int) -> None:
    """Kernel limits of one process: data and file size in bytes. Memory has slack: the host watches what is used."""
    import resource

    wanted = [
        (resource.RLIMIT_DATA, 2 * memory + (256 << 20)),
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
    ]
    if hasattr(resource, "RLIMIT_NPROC") and os.getuid() != 0:
        wanted.append((resource.RLIMIT_NPROC, _tasks_of(os.getuid()) + 8 * processes))
    for which, most in wanted:
        hard = resource.getrlimit(which)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (value, value))


def _tasks_of(user: int) -> int:
    """Threads that a user has: the kernel counts them together against RLIMIT_NPROC."""
    count = 0
    for name in os.listdir("/proc") if _is_linux() else ():
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count


def _is_linux() -> bool:
    return sys.platform == "linux"


def _libc() -> ctypes.CDLL:
    global _PTRS
    if _PTRS is None:
        _PTRS = ctypes.CDLL(None, use_errno=True)
        _PTRS.syscall.restype = ctypes.c_long
    found: ctypes.CDLL = _PTRS
    return found


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
