//! A machine without `io_uring`: what is said, and what serves all the same.
//!
//! A filter for system calls (seccomp) answers `io_uring_setup` as an old kernel or a container does.

use std::fs;
use std::path::Path;

use ferrule_tests::raw::plain_get;
use ferrule_tests::{Driver, Gateway, Setup, Upstream, echo, scratch, shell};
use ferrule_tools::process::ferrule_binary;

use crate::PLAIN;

/// Runs a command whose `io_uring_setup` fails with this error.
const LAUNCHER: &str = r#"
import ctypes, os, struct, sys
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW, IO_URING_SETUP = 0x00050000, 0x7fff0000, 425
def step(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
code = b"".join([
    step(0x20, 0, 0, 0),                                  # load the number of the call
    step(0x15, 0, 1, IO_URING_SETUP),                     # is it this one?
    step(0x06, 0, 0, SECCOMP_RET_ERRNO | int(sys.argv[1])),
    step(0x06, 0, 0, SECCOMP_RET_ALLOW),
])
steps = ctypes.create_string_buffer(code)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(steps)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):
    sys.exit(f"no seccomp here: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
"#;

const ENOSYS: &str = "38";
const EPERM: &str = "1";

fn setup(dir: &Path, driver: &str, errno: &str, upstream: &Upstream) -> Setup {
    let launcher = dir.join("launcher.py");
    fs::write(&launcher, LAUNCHER).expect("a writable directory");
    let launcher = launcher.to_str().expect("a plain path");
    let runtime = format!(
        "workers = 1\ncpu_affinity = false\nring_entries = 256\nmax_connections = 4096\n\
         io_driver = \"{driver}\"\n"
    );
    Setup::new(dir, Driver::Epoll, PLAIN)
        .runtime(&runtime)
        .set("upstream", &upstream.port)
        .under(&["python3", launcher, errno])
}

#[test]
fn a_gateway_that_must_have_io_uring_says_why_it_cannot() {
    let scratch = scratch();
    let dir = scratch.path();
    let upstream = Upstream::plain(echo());
    for (errno, words) in [(ENOSYS, "the kernel has none"), (EPERM, "kernel.io_uring_disabled")] {
        // Writes the file, too.
        let (code, text) = setup(dir, "io_uring", errno, &upstream).check();
        assert_eq!(code, Some(0), "{text}");
        let warned =
            text.contains("warning: runtime.io_driver: \"io_uring\" is asked for, and here");
        assert!(warned, "{text}");
        let binary = ferrule_binary();
        let said = shell(
            dir,
            &format!(
                "timeout 20 python3 launcher.py {errno} {} run ferrule.toml 2>&1 && exit 1 || echo \
                 \"code $?\"",
                binary.display()
            ),
        );
        for part in ["io_uring is not to be had: ", words, "\"auto\" takes epoll instead", "code 3"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn a_gateway_that_may_take_either_runs_on_epoll_and_says_why() {
    let scratch = scratch();
    let upstream = Upstream::plain(echo());
    for (errno, words) in [(ENOSYS, "the kernel has none"), (EPERM, "kernel.io_uring_disabled")] {
        let gateway: Gateway = setup(scratch.path(), "auto", errno, &upstream).named(errno).start();
        assert_eq!(plain_get(gateway.port("front"), "a.test", "/").status(), 200);
        for part in ["running on epoll", words, "driver epoll"] {
            assert!(gateway.log().contains(part), "{part}: {}", gateway.log());
        }
    }
}
