//! How the member of a group with the smallest load is found.

/// The first member with the smallest load, from `start` on and around: equal ones take turns.
pub(super) fn least_of(loads: &[f32], start: usize) -> Option<usize> {
    // Eight at a time without a branch: vector instructions (100 members: see the bench `balance`).
    let (chunks, rest) = loads.as_chunks::<8>();
    let mut lanes = [f32::INFINITY; 8];
    for chunk in chunks {
        for (lane, load) in lanes.iter_mut().zip(chunk) {
            *lane = if *load < *lane { *load } else { *lane };
        }
    }
    let least = lanes.iter().chain(rest).fold(f32::INFINITY, |least, load| least.min(*load));
    let (front, back) = loads.split_at_checked(start).unwrap_or((loads, &[]));
    let is_least = |load: &f32| *load <= least;
    let behind = back.iter().position(is_least).map(|at| front.len() + at);
    behind.or_else(|| front.iter().position(is_least))
}

/// The same among those that are accepted.
pub(super) fn least_accepted(
    loads: &[f32],
    start: usize,
    accept: impl Fn(usize) -> bool,
) -> Option<usize> {
    let around = (start..loads.len()).chain(0..start.min(loads.len()));
    let mut best: Option<(usize, f32)> = None;
    for member in around.filter(|member| accept(*member)) {
        let load = loads.get(member).copied().unwrap_or(f32::INFINITY);
        if best.is_none_or(|(_, least)| load < least) {
            best = Some((member, load));
        }
    }
    best.map(|(member, _)| member)
}
