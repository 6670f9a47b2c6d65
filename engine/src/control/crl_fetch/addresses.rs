//! Which addresses are asked for a list.
//!
//! In: an address, and how far inside the configuration itself has led. Out: whether it is asked. What answers on
//! the own link, and the metadata of a cloud's machines, is not for those who write a name server's answer. And
//! whoever redirects from outside does not learn what stands inside, or make it do something.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first 96 bits of an IPv6 address that stands for an IPv4 one behind a translator (RFC 6052).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Where clouds answer without a login, besides the own link: Alibaba Cloud, Azure.
const METADATA_V4: [Ipv4Addr; 2] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// AWS, Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// How far inside an address is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Neighbourhood {
    /// Anywhere.
    World,
    /// A network of somebody's own.
    Inside,
    /// This machine.
    Machine,
}

impl Neighbourhood {
    pub(super) fn of(address: IpAddr) -> Self {
        match meant(address) {
            IpAddr::V4(address) => {
                let [first, second, ..] = address.octets();
                // RFC 6598: networks behind a provider's translator.
                let shared = first == 100 && second & 0xc0 == 64;
                match address {
                    _ if address.is_loopback() => Self::Machine,
                    _ if address.is_private() || address.is_link_local() || shared => Self::Inside,
                    _ => Self::World,
                }
            }
            IpAddr::V6(address) => match address {
                _ if address.is_loopback() => Self::Machine,
                _ if address.is_unique_local() || address.is_unicast_link_local() => Self::Inside,
                _ => Self::World,
            },
        }
    }
}

/// Why an address is not asked, in words; `None` if it is. `inmost` is where the configuration's own host was.
pub(super) fn why_not_asked(address: IpAddr, inmost: Neighbourhood) -> Option<&'static str> {
    let meant = meant(address);
    let (of_link, metadata) = match meant {
        IpAddr::V4(v4) => (
            v4.is_link_local() || v4.is_multicast() || v4.is_unspecified() || v4.is_broadcast(),
            METADATA_V4.contains(&v4),
        ),
        IpAddr::V6(v6) => (
            v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified(),
            METADATA_V6.contains(&v6),
        ),
    };
    if of_link {
        return Some("an address of the own link");
    }
    if metadata {
        return Some("where a cloud tells of its machines");
    }
    let further = Neighbourhood::of(address) > inmost;
    further.then_some("further inside than what redirects to it")
}

/// The IPv4 address that an IPv6 one stands for, if it does.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let [a, b, c, d, e, f, high, low] = v6.segments();
    if [a, b, c, d, e, f] != NAT64 {
        return IpAddr::V6(v6);
    }
    let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(one, two, three, four).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_own_link_and_of_clouds_are_not_asked() {
        for text in [
            "169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "::ffff:100.100.100.200",
            "64:ff9b::168.63.129.16",
            "168.63.129.16",
        ] {
            let address = text.parse().unwrap();
            assert!(why_not_asked(address, Neighbourhood::Machine).is_some(), "{text}");
        }
        for text in ["127.0.0.1", "10.0.0.1", "192.0.2.1", "::1", "fd00::1", "2001:db8::1"] {
            let address = text.parse().unwrap();
            assert!(why_not_asked(address, Neighbourhood::Machine).is_none(), "{text}");
        }
    }

    #[test]
    fn a_redirect_leads_no_further_inside() {
        use Neighbourhood::{Inside, Machine, World};
        for (text, place) in [
            ("192.0.2.1", World),
            ("2001:db8::1", World),
            ("64:ff9b::192.0.2.1", World),
            ("10.0.0.1", Inside),
            ("100.64.0.1", Inside),
            ("fd00::1", Inside),
            ("64:ff9b::10.0.0.1", Inside),
            ("::ffff:192.168.0.1", Inside),
            ("127.0.0.9", Machine),
            ("::1", Machine),
            ("::ffff:127.0.0.1", Machine),
        ] {
            let address = text.parse().unwrap();
            for inmost in [World, Inside, Machine] {
                assert_eq!(why_not_asked(address, inmost).is_none(), place <= inmost, "{text}");
            }
        }
    }
}
