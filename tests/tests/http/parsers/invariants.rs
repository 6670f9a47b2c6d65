//! What holds of certificates, revocation lists and PEM text, whatever bytes they are made of.

use ferrule_engine::identity::failure::VerifyFailure;
use ferrule_engine::identity::verify::chain::verify_client;
use ferrule_engine::identity::verify::client_policy::ClientPolicy;
use ferrule_engine::identity::verify::constraint_check;
use ferrule_engine::identity::x509::certificate::Certificate;
use ferrule_engine::identity::x509::crl::Crl;
use ferrule_engine::identity::x509::raw_certificate::RawCertificate;
use ferrule_engine::identity::{ClientIdentity, IdentityPlan, Verdict};
use ferrule_engine::tls::pem::{Contents, blocks, read};

const NOW: i64 = 1_795_301_728;

/// A certificate is read by both readers or not at all, is never good without anchors, and says
/// what it says in one line.
pub(crate) fn certificate(bytes: &[u8]) {
    let read = Certificate::parse(bytes);
    if let Some(certificate) = &read {
        assert!(RawCertificate::read(bytes).is_some_and(|outline| outline.der == bytes));
        let path = [certificate.clone(), certificate.clone()];
        let _ = constraint_check::violation(&path);
    }
    let nobody = ClientPolicy::new(&[], 1, true).expect("a policy");
    let verdict = verify_client(&[bytes, bytes], &nobody, NOW);
    assert_ne!(verdict, Verdict::Success);
    if let Ok(own) = ClientPolicy::new(&[bytes.to_vec()], 1, true) {
        // An anchor vouches for itself alone, and only while it is valid.
        let verdict = verify_client(&[bytes], &own, NOW);
        let dates = read.as_ref().map(|it| (it.not_before, it.not_after));
        if verdict == Verdict::Success {
            assert!(dates.is_some_and(|(start, end)| start <= NOW && NOW < end));
        }
    }
    let identity = ClientIdentity::of(&[bytes], verdict, &IdentityPlan::default());
    assert!(read.is_some() || identity.verdict != Verdict::Success);
    assert_ne!(identity.verdict, Verdict::Failed(VerifyFailure::Revoked));
}

/// A list that is read is the same list again, revokes as many serial numbers as it counts, and
/// nothing that is longer than any of them.
pub(crate) fn crl(bytes: &[u8]) {
    let Ok(list) = Crl::parse(bytes.to_vec()) else { return };
    let again = Crl::parse(bytes.to_vec()).expect("it was one before");
    assert_eq!((list.digest(), list.count()), (again.digest(), again.count()));
    assert!(!list.revokes(&[0x55; 65]));
    assert!(list.count() > 0 || !list.revokes(&[1]));
    let longer = [bytes, &[0]].concat();
    assert!(Crl::parse(longer).is_err(), "nothing may follow it");
}

/// Where text is read, every `-----BEGIN` in it is a block, on the line that is told, and no place
/// takes more than there is.
pub(crate) fn pem(bytes: &[u8]) {
    const BEGIN: &[u8] = b"-----BEGIN";
    let Ok(found) = blocks(bytes) else { return };
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    let begins: Vec<usize> = lines
        .filter(|(_, line)| line.windows(BEGIN.len()).any(|part| part == BEGIN))
        .map(|(number, _)| number)
        .collect();
    let told: Vec<usize> = found.iter().map(|block| block.line).collect();
    assert_eq!(begins, told);
    assert!(found.iter().all(|block| !block.der.is_empty()));
    for contents in [Contents::Chain, Contents::Authorities, Contents::Key, Contents::Lists] {
        let taken = read(bytes, contents).unwrap_or_default();
        assert!(taken.iter().all(|block| found.contains(block)));
    }
}
