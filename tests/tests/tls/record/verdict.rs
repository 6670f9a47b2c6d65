//! Do two listeners agree? Where ours is stricter than rustls, the section that says so.

use ferrule_engine::tls::record::RecordError;

use super::ends::{End, Listener};

/// What the alert says, if there was one: nothing else may have been said.
fn alert(said: &[(u8, Vec<u8>)]) -> Option<u8> {
    match said {
        [] => None,
        [(21, alert)] => Some(alert[1]),
        // An answer to a key update may have been waiting.
        [(22, _), (21, alert)] => Some(alert[1]),
        other => panic!("more than an alert: {other:?}"),
    }
}

/// Are they of one mind?
///
/// # Panics
/// If not, and no rule allows it.
pub(crate) fn compare(theirs: &mut Listener, ours: &mut Listener) {
    let End::Failed(fault) = ours.end.clone() else {
        assert_eq!(ours.end, theirs.end);
        assert_eq!(ours.plain, theirs.plain);
        assert_eq!(ours.say(b"still here"), theirs.say(b"still here"));
        assert_eq!(ours.close(), theirs.close());
        return;
    };
    let fault = fault.expect("our own record layer");
    let ours_said = alert(&ours.say(b""));
    assert_eq!(ours_said, fault.alert());
    assert_eq!(ours.close(), [], "nothing after an alert");
    if theirs.plain.len() > ours.plain.len() {
        assert!(theirs.plain.starts_with(&ours.plain) && is_stricter(fault), "{fault:?}");
        return;
    }
    assert_eq!(ours.plain, theirs.plain, "{fault:?}");
    if matches!(theirs.end, End::Failed(_)) {
        let theirs_said = alert(&theirs.say(b""));
        let agreed = theirs_said == ours_said || is_stricter(fault);
        assert!(agreed, "{fault:?}: {ours_said:?}, {theirs_said:?}");
    } else {
        let agreed = is_stricter(fault) || is_earlier(fault);
        assert!(agreed, "{fault:?}, but rustls: {:?}", theirs.end);
    }
}

/// rustls looks on, or calls it something else.
const fn is_stricter(fault: RecordError) -> bool {
    match fault {
        // rustls reads messages that do not belong there, and may find more wrong with them.
        RecordError::UnexpectedMessage | RecordError::BrokenMessage => true,
        // Section 5.4 leaves it to us how many empty records are too many; section 4.6.3 says nothing of
        // key updates. rustls begins to count anew at either; ours only at something to read.
        RecordError::TooManyKeyUpdates | RecordError::TooManyEmptyRecords => true,
        _ => false,
    }
}

/// Refused as soon as a message's first bytes are there; rustls waits for the last.
const fn is_earlier(fault: RecordError) -> bool {
    matches!(fault, RecordError::UnexpectedMessage | RecordError::BrokenMessage)
}
