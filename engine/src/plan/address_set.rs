//! Ranges of addresses, sorted for search.
//!
//! In: ranges as a file lists them, which may overlap. Out: whether an address is in one of them, after as many
//! comparisons as the logarithm of their number. An IPv4 address in IPv6 spelling is that IPv4 address.

use core::net::IpAddr;

use ferrule_config::model::IpNet;

/// A set of addresses.
#[derive(Clone, Debug, Default)]
pub struct AddressSet {
    four: Box<[AddressRange<u32>]>,
    six: Box<[AddressRange<u128>]>,
}

/// From the first to the last, both included.
#[derive(Clone, Copy, Debug)]
struct AddressRange<N> {
    first: N,
    last: N,
}

impl AddressSet {
    /// The addresses of these ranges.
    #[must_use]
    pub fn of(networks: &[IpNet]) -> Self {
        let (mut four, mut six) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                IpNet::V4(net) => four.push(AddressRange {
                    first: u32::from(net.network()),
                    last: u32::from(net.broadcast()),
                }),
                IpNet::V6(net) => six.push(AddressRange {
                    first: u128::from(net.network()),
                    last: u128::from(net.broadcast()),
                }),
            }
        }
        Self { four: joined(four), six: joined(six) }
    }

    /// Is it one of them?
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(four) => is_within(&self.four, u32::from(four)),
            IpAddr::V6(six) => is_within(&self.six, u128::from(six)),
        }
    }
}

/// Sorted, with no two that overlap: of ranges with prefixes, one holds the other then.
fn joined<N: Copy + Ord>(mut ranges: Vec<AddressRange<N>>) -> Box<[AddressRange<N>]> {
    ranges.sort_unstable_by_key(|range| (range.first, core::cmp::Reverse(range.last)));
    ranges.dedup_by(|next, kept| next.last <= kept.last);
    ranges.into()
}

fn is_within<N: Copy + Ord>(ranges: &[AddressRange<N>], address: N) -> bool {
    let behind = ranges.partition_point(|range| range.first <= address);
    let before = behind.checked_sub(1).and_then(|at| ranges.get(at));
    before.is_some_and(|range| address <= range.last)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random, the same in every run.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        /// Many lie near each other, so that ranges hold others.
        fn address(&mut self) -> IpAddr {
            match self.next() % 3 {
                0 => IpAddr::from([
                    10,
                    0,
                    self.next().to_le_bytes()[0] & 3,
                    self.next().to_le_bytes()[0],
                ]),
                1 => IpAddr::from(u32::try_from(self.next() & 0xffff_ffff).unwrap().to_be_bytes()),
                _ => IpAddr::from(
                    (u128::from(self.next()) << 64 | u128::from(self.next())).to_be_bytes(),
                ),
            }
        }

        fn network(&mut self) -> IpNet {
            let address = self.address();
            let most = if address.is_ipv4() { 33 } else { 129 };
            IpNet::new(address, u8::try_from(self.next() % most).unwrap()).unwrap().trunc()
        }
    }

    #[test]
    fn an_address_is_in_it_if_it_is_in_one_of_its_ranges() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut within = 0;
        for round in 0..2_000 {
            let networks: Vec<IpNet> = (0..round % 20).map(|_| numbers.network()).collect();
            let set = AddressSet::of(&networks);
            let ends = networks.iter().flat_map(|net| [net.network(), net.broadcast()]);
            let others = [numbers.address(), numbers.address()];
            for address in ends.chain(others).map(|address| address.to_canonical()) {
                let wanted = networks.iter().any(|net| net.contains(&address));
                assert_eq!(set.contains(address), wanted, "{address}: {networks:?}");
                within += usize::from(wanted);
            }
        }
        assert!(within > 10_000, "{within}");
    }

    #[test]
    fn an_ipv4_address_in_ipv6_spelling_is_that_address() {
        let set = AddressSet::of(&["10.0.0.0/8".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]);
        for (text, within) in [
            ("::ffff:10.2.3.4", true),
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("::10.2.3.4", false),
        ] {
            assert_eq!(set.contains(text.parse().unwrap()), within, "{text}");
        }
    }
}
