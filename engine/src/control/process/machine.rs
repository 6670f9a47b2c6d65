//! What this machine and this process may do: kernel, descriptors, cores, `io_uring`.

use std::io;
use std::path::Path;

use io_uring::{Builder, IoUring};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use ferrule_config::model::Runtime;

/// The oldest kernel we run on: epoll, `SO_REUSEPORT` and everything else that is used is there.
/// `io_uring` is worth having from 5.19 (cooperative task work), and best from 6.1 (deferred task work).
pub const KERNEL_MIN: (u32, u32) = (4, 18);

/// The stack of a thread that reads a configuration, which may be deeply nested: as much as the main thread has.
pub(crate) const READER_STACK_BYTES: usize = 8 << 20;
/// Bytes of a file about control groups.
const GROUP_FILE_BYTES_MAX: u64 = 64 * 1024;

/// The running kernel's version, if its name starts with one.
#[must_use]
pub fn kernel() -> Option<(u32, u32)> {
    parse_release(&rustix::system::uname().release().to_string_lossy())
}

/// Is the kernel new enough? A release name that we do not understand is no reason not to start.
///
/// # Errors
/// What is too old, and what is needed, in words.
pub fn check_kernel() -> Result<(), String> {
    match kernel() {
        Some(version) if version < KERNEL_MIN => {
            let ((major, minor), (need, need_minor)) = (version, KERNEL_MIN);
            Err(format!(
                "Linux {major}.{minor} is too old: {need}.{need_minor} is needed for epoll, and 6.1 \
                 for the best of io_uring"
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// `6.1.0-18-amd64` is `(6, 1)`.
fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|byte: char| !byte.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Raises the soft limit of open descriptors to the hard one. Returns the limit now in force; `None`
/// is unlimited.
///
/// # Errors
/// The kernel refuses to raise it.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum)
}

/// Which core each worker is pinned to; one entry per worker.
///
/// Pinned only if there is a core for every worker and the workers were not made fewer by a cgroup's
/// CPU quota: several containers with a quota each would all sit on the same first cores.
#[must_use]
pub fn place_workers(runtime: &Runtime) -> Vec<Option<usize>> {
    // Affinity mask and cgroup quota, whichever is less.
    let usable = std::thread::available_parallelism().map_or(1, usize::from);
    place(runtime.workers, runtime.cpu_affinity, usable, &allowed_cores())
}

fn place(workers: Option<u32>, pin: bool, usable: usize, allowed: &[usize]) -> Vec<Option<usize>> {
    let asked = workers.and_then(|workers| usize::try_from(workers).ok());
    let count = asked.unwrap_or(usable).max(1);
    let quota = usable < allowed.len() && asked.is_none();
    if pin && !quota && count <= allowed.len() {
        allowed.iter().take(count).copied().map(Some).collect()
    } else {
        vec![None; count]
    }
}

/// The cores that this process may run on.
fn allowed_cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else { return Vec::new() };
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// Bytes of memory that this process may use: the machine's, or its control group's, whichever is
/// less.
#[must_use]
pub fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit.max(1)));
    let read = |path: &str| {
        let read = ferrule_config::read_file(Path::new(path), GROUP_FILE_BYTES_MAX);
        read.ok().and_then(|file| String::from_utf8(file.bytes).ok())
    };
    let own = read("/proc/self/cgroup").unwrap_or_default();
    // "max", or a number; where there is none, nothing limits us there.
    let limits = group_files(&own).into_iter().filter_map(|file| read(&file)?.trim().parse().ok());
    limits.fold(machine, u64::min)
}

/// The files that may limit our control group or one above it, by `/proc/self/cgroup`.
fn group_files(own: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|one| one == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut group = path.trim_end_matches('/');
        loop {
            files.push(format!("{root}{group}/{file}"));
            let Some((above, _)) = group.rsplit_once('/') else { break };
            group = above;
        }
    }
    files
}

/// What `io_uring` offers here, in words.
#[must_use]
pub fn io_uring_support() -> String {
    let mut deferred: Builder = IoUring::builder();
    deferred.setup_single_issuer().setup_defer_taskrun();
    let mut cooperative: Builder = IoUring::builder();
    cooperative.setup_coop_taskrun();
    let mut reason = None;
    for (builder, words) in [
        (&deferred, "available, with deferred task work"),
        (&cooperative, "available, with cooperative task work"),
        (&IoUring::builder(), "available, without flags"),
    ] {
        match builder.build(2) {
            Ok(_) => return words.to_owned(),
            Err(error) => reason = Some(error),
        }
    }
    reason.map_or_else(String::new, |error| format!("not available ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_names_are_understood() {
        assert_eq!(parse_release("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(parse_release("4.18.0-553.el8.x86_64"), Some((4, 18)));
        assert_eq!(parse_release("5.10"), Some((5, 10)));
        assert_eq!(parse_release("unknown"), None);
        assert!(kernel().is_some_and(|version| version >= KERNEL_MIN));
    }

    #[test]
    fn workers_are_pinned_only_where_that_helps() {
        let cores = [2, 3, 6, 7];
        let some = |list: &[usize]| list.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(place(None, true, 4, &cores), some(&[2, 3, 6, 7]));
        assert_eq!(place(Some(2), true, 4, &cores), some(&[2, 3]));
        assert_eq!(place(None, false, 4, &cores), [None; 4]);
        // A quota of two cores on a machine of four.
        assert_eq!(place(None, true, 2, &cores), [None; 2]);
        // More workers than cores.
        assert_eq!(place(Some(6), true, 4, &cores), [None; 6]);
        assert_eq!(place(Some(0), true, 4, &[]), [None; 1]);
    }

    #[test]
    fn the_limits_of_every_group_above_count() {
        assert_eq!(
            group_files("0::/a/b\n"),
            ["/a/b", "/a", ""].map(|group| format!("/sys/fs/cgroup{group}/memory.max"))
        );
        assert_eq!(group_files("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(
            group_files("5:cpu,memory:/x\n4:cpuset:/x\nnonsense\n"),
            ["/x", ""].map(|group| format!("/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"))
        );
        assert!(memory() > 1 << 20);
    }

    #[test]
    fn this_process_has_a_core_and_descriptors() {
        assert!(!allowed_cores().is_empty());
        assert!(raise_descriptor_limit().unwrap().is_none_or(|limit| limit > 0));
    }
}
