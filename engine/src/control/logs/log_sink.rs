//! The descriptor that a log is written to.
//!
//! In: bytes. Out: how many of them the kernel has taken. Only a file may keep the writer waiting for long. A
//! socket of datagrams takes whole lines alone.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::fs::{FileType, fstat};

use super::datagram_socket::DatagramSocket;
use super::patience::{WaitBudget, WriteStop};

/// A pipe that says it is writable takes this many bytes without waiting (pipe(7), `PIPE_BUF`).
const PIPE_WRITE_MAX: usize = 4096;

/// A file that has a name, a standard stream, or a socket.
#[derive(Debug)]
pub(super) enum LogSink {
    File { path: PathBuf, file: File },
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    Datagrams(DatagramSocket),
}

impl LogSink {
    /// `write_all` that waits for nobody longer than `budget` has left. A socket gets whole lines.
    pub(super) fn write_all(
        &mut self,
        mut bytes: &[u8],
        written: &mut usize,
        budget: &mut WaitBudget,
    ) -> Result<(), WriteStop> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Self::Datagrams(socket) = self {
            return socket.send_lines(bytes, written, budget);
        }
        let Some(sink) = self.fd() else { return Ok(()) };
        // Nothing else may keep a writer waiting for a reader.
        let is_file = fstat(sink)
            .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile);
        let most = if is_file { usize::MAX } else { PIPE_WRITE_MAX };
        while !bytes.is_empty() {
            if !is_file && !budget.is_writable(sink) {
                return Err(WriteStop::Stalled);
            }
            let chunk = bytes.get(..bytes.len().min(most)).unwrap_or(bytes);
            match rustix::io::write(sink, chunk) {
                Ok(0) => return Err(WriteStop::Failed(io::ErrorKind::WriteZero.into())),
                Ok(count) => {
                    *written = written.saturating_add(count);
                    bytes = bytes.get(count..).unwrap_or_default();
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Err(WriteStop::Stalled),
                Err(error) => return Err(WriteStop::Failed(error.into())),
            }
        }
        Ok(())
    }
}

impl LogSink {
    /// Its descriptor; a socket may have none yet.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::File { file, .. } => Some(file.as_fd()),
            Self::Stdout(stream) => Some(stream.as_fd()),
            Self::Stderr(stream) => Some(stream.as_fd()),
            Self::Datagrams(socket) => socket.fd(),
        }
    }

    /// Does it take whole lines alone?
    pub(super) const fn takes_lines(&self) -> bool {
        matches!(self, Self::Datagrams(_))
    }
}
