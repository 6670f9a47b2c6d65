//! What is done to the ends of connections: bytes sent and received, ends, resets, and looks.

use std::collections::VecDeque;
use std::io;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::half::{Half, InFlight, Parcel, Shutting};
use super::world::{ScheduledEvent, World};
use crate::shell::transport::fd::Peek;

impl World {
    /// Two connected ends.
    pub(crate) fn pair(&mut self) -> (usize, usize) {
        let first = self.ends.len();
        for (own, peer) in [(first, first + 1), (first + 1, first)] {
            debug_assert_eq!(own, self.ends.len());
            let least = self.weather.room / 2 + 1;
            let room = least + self.random.below(least);
            self.ends.push(Half { peer, holders: 1, room, ..Half::default() });
        }
        (first, first + 1)
    }

    /// One more holder of an end.
    pub(crate) fn hold(&mut self, end: usize) {
        self.ends[end].holders += 1;
    }

    /// One holder less; the last one closes.
    pub(crate) fn release(&mut self, end: usize) {
        let Some(half) = self.ends.get_mut(end) else { return };
        half.holders -= 1;
        if half.holders > 0 {
            return;
        }
        let (unread, over) = (!half.arrived.is_empty(), half.broken);
        half.arrived = VecDeque::new();
        if over {
            return;
        }
        if unread {
            // As the kernel does: who closes with unread bytes resets.
            self.dispatch(end, Parcel::Reset);
        } else if !self.ends[end].write_shut {
            self.dispatch(end, Parcel::End);
        }
    }

    /// Sends a parcel from `end` to its peer.
    fn dispatch(&mut self, end: usize, parcel: Parcel) {
        let delay = self.delay();
        let now = self.now;
        let peer = self.ends[end].peer;
        let half = &mut self.ends[peer];
        let after = half.coming.back().map_or(Duration::ZERO, |last| last.due);
        let due = after.max(now + delay);
        if let Parcel::Bytes(bytes) = &parcel {
            half.coming_bytes += bytes.len();
        }
        half.coming.push_back(InFlight { due, parcel });
        self.schedule(due, ScheduledEvent::Arrival(peer));
    }

    /// Whatever is due at `end` arrives.
    pub(crate) fn arrive(&mut self, end: usize) {
        while let Some(next) = self.ends[end].coming.front() {
            if next.due > self.now {
                return;
            }
            let half = &mut self.ends[end];
            let Some(InFlight { parcel, .. }) = half.coming.pop_front() else { return };
            match parcel {
                Parcel::Bytes(bytes) => {
                    half.coming_bytes -= bytes.len();
                    if half.broken {
                        continue;
                    }
                    if half.holders == 0 {
                        half.broken = true;
                        self.dispatch(end, Parcel::Reset);
                        continue;
                    }
                    half.arrived.extend(bytes);
                }
                Parcel::End => half.ended = true,
                Parcel::Reset => {
                    half.broken = true;
                    if self.random.below(2) == 0 {
                        half.arrived.clear();
                    }
                }
            }
            self.ends[end].wake();
        }
    }

    /// `bytes`, and everything under way before them, arrive now; there is room for them.
    pub(crate) fn send_at_once(&mut self, end: usize, bytes: &[u8]) {
        let (now, half) = (self.now, &self.ends[end]);
        if half.broken || half.write_shut {
            return;
        }
        let peer = half.peer;
        self.dispatch(end, Parcel::Bytes(bytes.to_vec()));
        for parcel in &mut self.ends[peer].coming {
            parcel.due = now;
        }
        self.arrive(peer);
    }

    /// Has the peer of `end` sent anything that `end` has not read, arrived or not?
    #[must_use]
    pub(crate) fn is_spoken_to(&self, end: usize) -> bool {
        let half = &self.ends[end];
        !half.arrived.is_empty() || !half.coming.is_empty() || half.ended || half.broken
    }

    /// Has the peer of `end` read everything that `end` has sent?
    #[must_use]
    pub(crate) fn is_heard_out(&self, end: usize) -> bool {
        let peer = &self.ends[self.ends[end].peer];
        peer.arrived.is_empty() && peer.coming.is_empty()
    }

    /// Bytes that `end` has sent and that have not arrived.
    pub(crate) fn under_way(&mut self, end: usize) -> u64 {
        self.check_held(end);
        let peer = &self.ends[self.ends[end].peer];
        u64::try_from(peer.coming_bytes).unwrap_or(u64::MAX)
    }

    /// Bytes that have arrived at `end` and are unread.
    pub(crate) fn waiting(&mut self, end: usize) -> usize {
        self.check_held(end);
        self.ends[end].arrived.len()
    }

    /// Bytes that `end` may send at once.
    pub(crate) fn room(&mut self, end: usize) -> usize {
        self.check_held(end);
        let peer = &self.ends[self.ends[end].peer];
        peer.room.saturating_sub(peer.arrived.len() + peer.coming_bytes)
    }

    /// Notes who uses a descriptor after its end was closed.
    fn check_held(&mut self, end: usize) {
        self.misused |= self.ends[end].holders == 0;
    }

    /// Ends one direction, or both.
    pub(crate) fn shut(&mut self, end: usize, what: Shutting) {
        self.check_held(end);
        let half = &mut self.ends[end];
        if half.broken {
            return;
        }
        half.read_shut |= what != Shutting::Write;
        let ends = what != Shutting::Read && !half.write_shut;
        half.write_shut |= ends;
        half.wake();
        if ends {
            self.dispatch(end, Parcel::End);
        }
    }

    /// Resets a connection.
    pub(crate) fn reset(&mut self, end: usize) {
        self.check_held(end);
        let half = &mut self.ends[end];
        if half.broken {
            return;
        }
        half.broken = true;
        half.arrived.clear();
        half.wake();
        // A reset overtakes, or it does not.
        if self.random.below(2) == 0 {
            let peer = self.ends[end].peer;
            self.ends[peer].coming.clear();
            self.ends[peer].coming_bytes = 0;
        }
        self.dispatch(end, Parcel::Reset);
    }

    /// Has the peer ended?
    pub(crate) fn has_left(&mut self, end: usize) -> bool {
        self.check_held(end);
        let half = &self.ends[end];
        half.ended || half.broken
    }

    /// Is it over in both directions?
    pub(crate) fn is_over(&mut self, end: usize) -> bool {
        self.check_held(end);
        self.ends[end].broken
    }

    /// Is there something to receive, or the end?
    pub(crate) fn readable(&mut self, end: usize, waker: &Waker) -> Poll<()> {
        if self.peek(end) != Peek::Silent {
            return Poll::Ready(());
        }
        self.ends[end].reader = Some(waker.clone());
        Poll::Pending
    }

    /// Is there room for what is sent, or the end of the connection?
    pub(crate) fn writable(&mut self, end: usize, waker: &Waker) -> Poll<()> {
        let half = &self.ends[end];
        if half.broken || half.write_shut || self.room(end) > 0 {
            return Poll::Ready(());
        }
        self.ends[end].writer = Some(waker.clone());
        Poll::Pending
    }

    /// Looks without reading.
    pub(crate) fn peek(&mut self, end: usize) -> Peek {
        self.check_held(end);
        let half = &self.ends[end];
        if !half.arrived.is_empty() {
            Peek::Bytes
        } else if half.ended || half.broken || half.read_shut {
            Peek::Ended
        } else {
            Peek::Silent
        }
    }

    /// One receive.
    pub(crate) fn receive(
        &mut self,
        end: usize,
        room: &mut [u8],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let most = self.portion(room.len());
        let half = &mut self.ends[end];
        if half.arrived.is_empty() {
            if half.read_shut || (half.ended && !half.broken) {
                return Poll::Ready(Ok(0));
            }
            if half.broken {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            half.reader = Some(waker.clone());
            return Poll::Pending;
        }
        let count = most.min(half.arrived.len());
        let (first, second) = half.arrived.as_slices();
        let (of_first, rest) = room[..count].split_at_mut(count.min(first.len()));
        of_first.copy_from_slice(&first[..of_first.len()]);
        rest.copy_from_slice(&second[..rest.len()]);
        half.arrived.drain(..count);
        let peer = half.peer;
        if let Some(writer) = self.ends[peer].writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(count))
    }

    /// One receive that does not wait.
    pub(crate) fn receive_now(&mut self, end: usize, room: &mut [u8]) -> usize {
        self.check_held(end);
        match self.receive(end, room, Waker::noop()) {
            Poll::Ready(received) => received.unwrap_or(0),
            Poll::Pending => {
                self.ends[end].reader = None;
                0
            }
        }
    }

    /// One send that does not wait.
    pub(crate) fn send_now(&mut self, end: usize, bytes: &[u8]) -> usize {
        self.check_held(end);
        match self.send(end, bytes, Waker::noop()) {
            Poll::Ready(sent) => sent.unwrap_or(0),
            Poll::Pending => {
                self.ends[end].writer = None;
                0
            }
        }
    }

    /// One send.
    pub(crate) fn send(
        &mut self,
        end: usize,
        bytes: &[u8],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        let half = &self.ends[end];
        if half.broken || half.write_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let peer = &self.ends[half.peer];
        let unread = peer.arrived.len() + peer.coming_bytes;
        let room = peer.room.saturating_sub(unread);
        if room == 0 && peer.holders > 0 {
            self.ends[end].writer = Some(waker.clone());
            return Poll::Pending;
        }
        let count = self.portion(bytes.len()).min(room.max(1));
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            let (segment, behind) = rest.split_at(self.segment(rest.len()));
            self.dispatch(end, Parcel::Bytes(segment.to_vec()));
            rest = behind;
        }
        Poll::Ready(Ok(count))
    }
}
