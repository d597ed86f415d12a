# ruff: noqa: SIM115
"""Looks for everything a strategy must not find, and prints a line for each thing it got."""

import ctypes
import os
import signal
import socket

data, platform_pid, neighbour = os.environ["T_DATA"], int(os.environ["T_PLATFORM"]), os.environ["T_NEIGHBOUR"]


def tried(name, act):
    try:
        found = act()
    except (OSError, MemoryError, ValueError) as error:
        print(f"denied {name}: {type(error).__name__}")
    else:
        print(f"GOT {name}: {found!r}")


def read(path):
    with open(path, "rb") as file:
        return file.read(40)


for path in ("platform.db", ".env", "keys/bus", "strategies", "log"):
    target = os.path.join(data, path)
    tried(f"list {path}", lambda target=target: os.listdir(target))
    tried(f"read {path}", lambda target=target: read(target))
tried("neighbour", lambda: read(neighbour))
for name in ("environ", "mem", "cmdline", "maps", "fd/1"):
    tried(f"platform {name}", lambda name=name: read(f"/proc/{platform_pid}/{name}"))
    tried(f"parent {name}", lambda name=name: read(f"/proc/{os.getppid()}/{name}"))
tried("processes", lambda: os.listdir("/proc"))
tried("signal", lambda: os.kill(platform_pid, 0))
tried("kill everybody", lambda: os.kill(platform_pid, signal.SIGCONT))
libc = ctypes.CDLL(None, use_errno=True)


def traced():
    if libc.ptrace(16, platform_pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


tried("trace", traced)
tried("setsid", os.setsid)
tried("setpgid", lambda: os.setpgid(0, 0))
tried("own code", lambda: open(__file__, "a"))
tried("new code", lambda: open(os.path.join(os.path.dirname(__file__), "sitecustomize.py"), "w"))
tried("system", lambda: open("/usr/lib/x", "w"))
tried("shared temp", lambda: open("/tmp/x-strategy", "w"))
tried("shared memory", lambda: open("/dev/shm/x-strategy", "w"))
tried("home of the user", lambda: os.listdir(os.path.expanduser("~root")))
tried("shadow", lambda: read("/etc/shadow"))
os.symlink(os.path.join(data, "platform.db"), "link")
tried("through a link", lambda: read("link"))
tried("hard link", lambda: os.link(os.path.join(data, "platform.db"), "hard"))
tried("move out", lambda: os.rename("link", os.path.join(data, "moved")))
database = os.path.join(data, "platform.db")
tried("owner", lambda: os.chown(database, os.getuid(), os.getgid()))
tried("attributes", lambda: os.setxattr(database, "user.x", b"x"))
tried("change directory", lambda: os.listdir(os.chdir(data) or "."))
tried("socket with a path", lambda: socket.socket(socket.AF_UNIX))
for act in (lambda: os.chmod(database, 0), lambda: os.chmod(data, 0), lambda: os.chmod("link", 0)):
    act()
modes = [oct(os.stat(path).st_mode & 0o777) for path in (database, data)]
print("modes", *modes)
os.chdir(os.environ["HOME"])
tried("listen", lambda: socket.create_server(("127.0.0.1", 0)))
tried("many files", lambda: [open("/dev/null") for _ in range(100_000)])
tried("much memory", lambda: len(bytearray(8 << 30)))
tried("much disk", lambda: open("big", "wb").write(b"x" * (64 << 20)))
allowed = {"T_DATA", "T_PLATFORM", "T_NEIGHBOUR", "PATH", "HOME", "OPENALGO_RUN_TOKEN", "LC_CTYPE"}
print("environment", sorted(set(os.environ) - allowed))
print("done")
