"""Runs a command under a profile of containers (seccomp, JSON), as their runtimes do.

    python3 under_profile.py PROFILE [-NAME...] COMMAND...

Every -NAME is a system call that the profile is to lack. Needs Debian's python3-seccomp.
"""

import json
import os
import sys

import seccomp

profile = json.load(open(sys.argv[1]))
words = sys.argv[2:]
lacking = set()
while words[0].startswith("-"):
    lacking.add(words.pop(0)[1:])
assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
calls = seccomp.SyscallFilter(seccomp.ERRNO(profile["defaultErrnoRet"]))
for rule in profile["syscalls"]:
    assert rule["action"] == "SCMP_ACT_ALLOW" and set(rule) == {"names", "action"}
    for name in set(rule["names"]) - lacking:
        try:
            calls.add_rule(seccomp.ALLOW, name)
        except (OSError, RuntimeError):
            pass  # one that this library or this machine does not have
calls.load()
os.execv(words[0], words)
