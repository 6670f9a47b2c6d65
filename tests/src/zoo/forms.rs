//! Another certificate with the same signed part, that anybody can make of the first.

use ferrule_engine::identity::der::{Reader, only, tag};

use super::asn1::{bit_string, integer, sequence};

/// The order of P-256.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The certificate with `(r, n - s)` in place of `(r, s)`: as good a signature, and another digest of
/// the whole. For certificates that a P-256 key signed.
#[must_use]
pub fn other_form(der: &[u8]) -> Vec<u8> {
    let mut outer = Reader::new(only(der, tag::SEQUENCE).expect("a certificate").content);
    let signed = outer.element(tag::SEQUENCE).expect("a signed part").whole;
    let algorithm = outer.element(tag::SEQUENCE).expect("an algorithm").whole;
    let (signature, _) = outer.bits().expect("a signature");
    let mut pair = Reader::new(only(signature, tag::SEQUENCE).expect("two numbers").content);
    let r = pair.element(tag::INTEGER).expect("r").whole;
    let s = pair.content(tag::INTEGER).expect("s");
    let mut digits = [0; 32];
    for (digit, byte) in digits.iter_mut().rev().zip(s.iter().rev()) {
        *digit = *byte;
    }
    let mut borrow = false;
    for (digit, of_order) in digits.iter_mut().zip(ORDER).rev() {
        let (less, first) = of_order.overflowing_sub(*digit);
        let (less, second) = less.overflowing_sub(u8::from(borrow));
        (*digit, borrow) = (less, first || second);
    }
    let start = digits.iter().take_while(|digit| **digit == 0).count();
    let mut number = digits[start..].to_vec();
    if number.first().is_some_and(|first| *first >= 0x80) {
        number.insert(0, 0);
    }
    let signature = sequence(&[r, &integer(&number)]);
    sequence(&[signed, algorithm, &bit_string(0, &signature)])
}
