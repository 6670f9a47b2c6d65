//! The writer with files, rings and outputs that change.

use std::path::Path;

use ferrule_config::Place;
use ferrule_config::model::{AccessFormat, AccessLog, ErrorFormat, Log, LogFilter, LogTarget};

use super::*;
use crate::report::log_ring;

const TEXT: LineForm = LineForm { is_json: false, is_record: false };

fn log(folder: &Path, access: &str) -> Log {
    Log {
        error: LogTarget::File(folder.join("error.log")),
        error_place: Place::default(),
        level: Level::Info,
        error_format: ErrorFormat::Text,
        access: Some(AccessLog {
            target: LogTarget::File(folder.join(access)),
            place: Place::default(),
            format: AccessFormat::Combined,
            format_place: Place::default(),
            filter: LogFilter::default(),
        }),
        handshake_failures: true,
    }
}

fn read(folder: &Path, name: &str) -> String {
    let file = ferrule_config::read_file(&folder.join(name), 1 << 20).unwrap();
    String::from_utf8(file.bytes).unwrap()
}

#[test]
fn lines_of_every_core_and_diagnostics_reach_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let (mut one, ring_one) = log_ring(1024);
    let (mut two, ring_two) = log_ring(1024);
    let outputs = LogOutputs::open(&log(folder.path(), "access.log")).unwrap();
    let writer = LogWriter::start(outputs, vec![ring_one, ring_two], &Arc::default()).unwrap();
    assert!(one.push(b"from one\n"));
    assert!(two.push(b"from two\n"));
    writer.push(b"hello\n", TEXT).unwrap();
    writer.stop();
    let access = read(folder.path(), "access.log");
    let mut lines: Vec<&str> = access.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["from one", "from two"]);
    assert_eq!(read(folder.path(), "error.log"), "hello\n");
}

#[test]
fn a_redirect_keeps_old_lines_in_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut producer, ring) = log_ring(1024);
    let outputs = LogOutputs::open(&log(folder.path(), "old.log")).unwrap();
    let writer = LogWriter::start(outputs, vec![ring], &Arc::default()).unwrap();
    assert!(producer.push(b"before\n"));
    writer.redirect(LogOutputs::open(&log(folder.path(), "new.log")).unwrap());
    // Taken once the inbox is empty again.
    while lock(&writer.shared.inbox).outputs.is_some() {
        std::thread::yield_now();
    }
    // The old lines are written before anything else happens to the rings.
    while read(folder.path(), "old.log").is_empty() {
        std::thread::yield_now();
    }
    writer.push(b"x\n", TEXT).unwrap();
    while read(folder.path(), "error.log").is_empty() {
        std::thread::yield_now();
    }
    assert!(producer.push(b"after\n"));
    writer.stop();
    assert_eq!(read(folder.path(), "old.log"), "before\n");
    assert_eq!(read(folder.path(), "new.log"), "after\n");
}

#[test]
fn too_many_diagnostics_are_dropped_and_counted() {
    let shared = Arc::new(WriterState::default());
    let writer = LogWriter { shared: Arc::clone(&shared) };
    let line = vec![b'x'; DIAGNOSTICS_BYTES_MAX / 2];
    for _ in 0..4 {
        writer.push(&line, TEXT).unwrap();
    }
    let inbox = lock(&shared.inbox);
    assert_eq!((inbox.diagnostics.len(), inbox.dropped), (DIAGNOSTICS_BYTES_MAX, 2));
    assert_eq!(shared.lost.error_full.get(), 2);
}

/// Every line is written or counted, and a log that nobody reads does not keep the other one.
#[test]
fn a_pipe_that_nobody_reads_keeps_no_diagnostic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &path, fifo, mode, 0).unwrap();
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
    let reader = rustix::fs::open(&path, flags, mode).unwrap();
    let (mut producer, ring) = log_ring(1 << 20);
    let lost = Arc::<LostLines>::default();
    let outputs = LogOutputs::open(&log(folder.path(), "access.log")).unwrap();
    let writer = LogWriter::start(outputs, vec![ring], &lost).unwrap();
    let line = [vec![b'x'; 99], vec![b'\n']].concat();
    for _ in 0..2_000 {
        assert!(producer.push(&line));
    }
    while !read(folder.path(), "error.log").contains("nobody reads the access log") {
        std::thread::yield_now();
    }
    writer.push(b"still written\n", TEXT).unwrap();
    writer.stop();
    assert!(read(folder.path(), "error.log").contains("still written\n"));
    let mut got = 0;
    let mut piece = vec![0; 65_536];
    while let Ok(count) = rustix::io::read(&reader, &mut piece)
        && count > 0
    {
        got += count;
    }
    // The line that was begun is neither whole nor missing from the count.
    assert_eq!((got / 100) as u64 + lost.access_failed.get(), 2_000);
}

/// Text, records and text again, before the writer looks: the lines of the first form are written all the same.
#[test]
fn two_changes_of_the_form_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let here = log(folder.path(), "access.log");
    let mut away = log(folder.path(), "access.log");
    away.error = LogTarget::Journald(folder.path().join("journal"));
    let shared = Arc::new(WriterState::default());
    let writer = LogWriter { shared: Arc::clone(&shared) };
    let mut thread = WriterThread {
        shared: Arc::clone(&shared),
        outputs: LogOutputs::open(&here).unwrap(),
        rings: Vec::new(),
        batch: Vec::new(),
        cannot_reopen: false,
    };
    writer.push(b"first\n", TEXT).unwrap();
    writer.redirect(LogOutputs::open(&away).unwrap());
    writer.redirect(LogOutputs::open(&here).unwrap());
    writer.push(b"second\n", TEXT).unwrap();
    thread.take_inbox(Duration::ZERO);
    thread.write_diagnostics();
    assert_eq!(read(folder.path(), "error.log"), "first\nsecond\n");
    assert_eq!(shared.lost.error_full.get() + shared.lost.error_failed.get(), 0);
}
