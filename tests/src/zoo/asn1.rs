//! DER, written by hand: the few types that certificates are made of.

/// Any element.
#[must_use]
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let len = content.len();
    if len < 0x80 {
        out.push(u8::try_from(len).expect("short"));
    } else {
        let bytes = len.to_be_bytes();
        let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        out.push(0x80 | u8::try_from(digits.len()).expect("a few digits"));
        out.extend_from_slice(digits);
    }
    out.extend_from_slice(content);
    out
}

/// `SEQUENCE`
#[must_use]
pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(0x30, &parts.concat())
}

/// `SET`, in the order given
#[must_use]
pub fn set(parts: &[&[u8]]) -> Vec<u8> {
    element(0x31, &parts.concat())
}

/// `INTEGER` with this content
#[must_use]
pub fn integer(content: &[u8]) -> Vec<u8> {
    element(2, content)
}

/// `BIT STRING`
#[must_use]
pub fn bit_string(unused: u8, bits: &[u8]) -> Vec<u8> {
    element(3, &[&[unused], bits].concat())
}

/// An explicit context tag
#[must_use]
pub fn explicit(number: u8, inner: &[u8]) -> Vec<u8> {
    element(0xa0 | number, inner)
}

/// `OBJECT IDENTIFIER`
#[must_use]
pub fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u64> = dotted.split('.').map(|arc| arc.parse().expect("an arc")).collect();
    let mut content = Vec::new();
    let joined = arcs[0] * 40 + arcs[1];
    for arc in std::iter::once(joined).chain(arcs.iter().copied().skip(2)) {
        let mut digits = vec![u8::try_from(arc & 0x7f).expect("seven bits")];
        let mut rest = arc >> 7;
        while rest > 0 {
            digits.push(0x80 | u8::try_from(rest & 0x7f).expect("seven bits"));
            rest >>= 7;
        }
        content.extend(digits.iter().rev());
    }
    element(6, &content)
}

/// One attribute: type, string tag, content.
#[must_use]
pub fn attribute(kind: &str, tag: u8, content: &[u8]) -> Vec<u8> {
    sequence(&[&oid(kind), &element(tag, content)])
}

/// A name of relative names, each of one or more attributes.
#[must_use]
pub fn name(relative_names: &[&[Vec<u8>]]) -> Vec<u8> {
    let sets: Vec<Vec<u8>> = relative_names
        .iter()
        .map(|attributes| set(&attributes.iter().map(Vec::as_slice).collect::<Vec<_>>()))
        .collect();
    sequence(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// `CN=...` as `UTF8String`
#[must_use]
pub fn common_name(text: &str) -> Vec<u8> {
    name(&[&[attribute("2.5.4.3", 12, text.as_bytes())]])
}

/// One extension.
#[must_use]
pub fn extension(kind: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    sequence(&[&oid(kind), critical, &element(4, value)])
}

/// `basicConstraints`
#[must_use]
pub fn basic_constraints(ca: bool, path_len: Option<u8>) -> Vec<u8> {
    let ca: &[u8] = if ca { &[1, 1, 0xff] } else { &[] };
    let path_len = path_len.map(|len| integer(&[len])).unwrap_or_default();
    extension("2.5.29.19", true, &sequence(&[ca, &path_len]))
}

/// `keyUsage` by its first octet
#[must_use]
pub fn key_usage(bits: u8) -> Vec<u8> {
    let unused = u8::try_from(bits.trailing_zeros().min(7)).expect("small");
    extension("2.5.29.15", true, &bit_string(unused, &[bits]))
}

/// `extKeyUsage`
#[must_use]
pub fn extended(purposes: &[&str]) -> Vec<u8> {
    let list: Vec<Vec<u8>> = purposes.iter().map(|purpose| oid(purpose)).collect();
    let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
    extension("2.5.29.37", false, &sequence(&list))
}

/// `UTCTime`
#[must_use]
pub fn utc(text: &str) -> Vec<u8> {
    element(0x17, text.as_bytes())
}

/// `GeneralizedTime`
#[must_use]
pub fn generalized(text: &str) -> Vec<u8> {
    element(0x18, text.as_bytes())
}
