"""Stands between the two processes of an upgrade, and holds back that the new one serves.

    relay.py PROGRAM DIR [ARGUMENTS]

Started by the former process in the place of the new one; starts PROGRAM as that, and passes on what both say, with
its descriptors. What begins with "serving" waits until DIR/release exists; that it waits says DIR/serving, with the
number of the new process. SIGTERM and SIGHUP are passed on. Ends as the new process does.
"""

import array
import os
import select
import signal
import socket
import subprocess
import sys
import time

program, directory, *arguments = sys.argv[1:]
BYTES_MAX = 128 * 1024

former = socket.socket(fileno=os.dup(0))
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
environment = dict(os.environ)
version = environment["FERRULE_UPGRADE"].split(":")[0]
environment["FERRULE_UPGRADE"] = f"{version}:{os.getpid()}"
process = subprocess.Popen([program, *arguments], stdin=theirs, env=environment)
theirs.close()
for number in [signal.SIGTERM, signal.SIGHUP]:
    signal.signal(number, lambda number, _: process.send_signal(number))


def hold(message):
    if b'"message":"serving"' not in message:
        return
    with open(f"{directory}/serving.part", "w") as file:
        file.write(str(process.pid))
    os.rename(f"{directory}/serving.part", f"{directory}/serving")
    end = time.monotonic() + 30
    while not os.path.exists(f"{directory}/release") and time.monotonic() < end:
        time.sleep(0.02)


def relay(source, sink):
    """Passes one message on; false at the end."""
    integers = array.array("i")
    space = socket.CMSG_SPACE(integers.itemsize)
    message, ancillary, _, _ = source.recvmsg(BYTES_MAX, space)
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            integers.frombytes(data[: len(data) - len(data) % integers.itemsize])
    if not message:
        return False
    hold(message)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, integers)] if integers else []
    try:
        sink.sendmsg([message], rights)
    except OSError:
        return False
    finally:
        for descriptor in integers:
            os.close(descriptor)
    return True


open_ends = {former: ours, ours: former}
while process.poll() is None:
    ready, _, _ = select.select(list(open_ends), [], [], 0.1)
    for source in ready:
        if not relay(source, open_ends[source]):
            open_ends.pop(source)
sys.exit(process.returncode if process.returncode >= 0 else 128 - process.returncode)
