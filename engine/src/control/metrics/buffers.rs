//! Buffers of the data cores as metric families.
//!
//! In: the sums over all cores. Out: gauges.

use super::families::{Family, number};
use crate::report::{BUFFER_SIZES, EventSums};

pub(super) fn buffers(sums: &EventSums) -> [Family; 2] {
    let mut buffers = Family::gauge(
        "ferrule_buffers",
        "Buffers of the data cores, by size: rented now, free for the next, and the most that \
         were rented at a time (summed over cores).",
    );
    for (size, counts) in BUFFER_SIZES.into_iter().zip(sums.buffers) {
        for (state, count) in ["rented", "free", "peak"].into_iter().zip(counts) {
            let labels = vec![("size", size.to_owned()), ("state", state.to_owned())];
            buffers.push(labels, number(count));
        }
    }
    let mut bytes = Family::gauge(
        "ferrule_buffer_bytes",
        "Memory of the buffers that are rented, and the budget for it (runtime.buffer_memory).",
    );
    for (state, count) in ["rented", "budget"].into_iter().zip(sums.buffer_bytes) {
        bytes.push(vec![("state", state.to_owned())], number(count));
    }
    [buffers, bytes]
}
