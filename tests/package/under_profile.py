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
    action, arguments = seccomp.ALLOW, []
    if rule["action"] == "SCMP_ACT_ERRNO":
        action = seccomp.ERRNO(rule["errnoRet"])
    else:
        assert rule["action"] == "SCMP_ACT_ALLOW"
    for argument in rule.get("args", []):
        # A runtime compares what the mask leaves with `valueTwo`, which is 0 where it is not there.
        assert argument["op"] == "SCMP_CMP_MASKED_EQ" and set(argument) == {"index", "value", "op"}
        arguments.append(seccomp.Arg(argument["index"], seccomp.MASKED_EQ, argument["value"], 0))
    for name in set(rule["names"]) - lacking:
        try:
            calls.add_rule(action, name, *arguments)
        except (OSError, RuntimeError):
            pass  # one that this library or this machine does not have
calls.load()
os.execv(words[0], words)
