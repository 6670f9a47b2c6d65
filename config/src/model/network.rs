//! IP networks: an address, and how many of its bits count.

use std::fmt;
use std::net::IpAddr;

/// A network, as `10.0.0.0/8`. Bits that do not count are zero.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why there is no such network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NetworkError {
    /// The text is neither an address nor a network.
    Unreadable,
    /// Bits are set that do not count; the network is this one.
    HostBits(Network),
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        // In front, so that both kinds count from the left.
        IpAddr::V4(four) => u128::from(four.to_bits()) << 96,
        IpAddr::V6(six) => six.to_bits(),
    }
}

const fn mask(bits: u8) -> u128 {
    if bits == 0 { 0 } else { u128::MAX << (128 - bits) }
}

impl Network {
    /// Reads `10.0.0.0/8`, or an address alone.
    ///
    /// # Errors
    /// It is none, or an address within one.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Unreadable)?;
        let bits = match bits {
            None => width(address),
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => {
                bits.parse().map_err(|_| NetworkError::Unreadable)?
            }
            Some(_) => return Err(NetworkError::Unreadable),
        };
        if bits > width(address) {
            return Err(NetworkError::Unreadable);
        }
        let kept = number(address) & mask(bits);
        let base = match address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(kept >> 96).unwrap_or_default().into()),
            IpAddr::V6(_) => IpAddr::V6(kept.into()),
        };
        let network = Self { address: base, bits };
        if base == address { Ok(network) } else { Err(NetworkError::HostBits(network)) }
    }

    /// Its lowest address, and how many bits of it count.
    #[must_use]
    pub const fn parts(self) -> (IpAddr, u8) {
        (self.address, self.bits)
    }

    /// Is this address in it? IPv4 and IPv6 are apart; nothing is mapped.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        width(address) == width(self.address)
            && number(address) & mask(self.bits) == number(self.address)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == width(self.address) {
            return self.address.fmt(out);
        }
        write!(out, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_their_bits_say() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "::1", "127.0.0.1"),
            ("::ffff:0.0.0.0/96", "::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
            assert_eq!(Network::parse(&network.to_string()), Ok(network));
        }
    }

    #[test]
    fn what_is_no_network_is_told() {
        for text in ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "::/129", "a/8"] {
            assert_eq!(Network::parse(text), Err(NetworkError::Unreadable), "{text}");
        }
        let base = Network::parse("10.0.0.0/8").unwrap();
        assert_eq!(Network::parse("10.0.0.1/8"), Err(NetworkError::HostBits(base)));
    }
}
