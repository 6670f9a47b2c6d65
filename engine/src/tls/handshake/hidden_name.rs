//! A server name that is hidden from rustls, because it is none.
//!
//! rustls ends every handshake whose server name is not a name (`test.com:443`, `*.x`, UTF-8); where a
//! fallback serves unknown names, such a name is one of them. So rustls is shown the extension under a type
//! that nobody knows ([`super::hello::UnusableName::hide`]). The second hello, after a `HelloRetryRequest`,
//! is shown in the same way ([`SecondHello`]). The transcript keeps what the client sent
//! ([`super::transcript`]).

use super::hello::{HelloError, HelloReader, UnusableName};

/// A record that carries nothing: clients may send it before their second flight, for the sake of
/// boxes on the way (RFC 8446, appendix D.4).
const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];
const HANDSHAKE: u8 = 22;

/// The server name that rustls does not see, and the hellos that had it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HiddenServerName {
    name: Vec<u8>,
    hellos: Vec<ShownHello>,
}

/// A hello as rustls is shown it, and where the two bytes are that are zero in the client's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct ShownHello {
    message: Vec<u8>,
    at: usize,
}

impl ShownHello {
    fn new(name: &UnusableName, records: &mut [u8]) -> Self {
        let (message, at) = name.hide(records);
        Self { message, at }
    }

    /// Is this the message, its beginning, or a transcript that begins with it?
    fn begins(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.at + 2
            && (bytes.starts_with(&self.message) || self.message.starts_with(bytes))
    }
}

impl HiddenServerName {
    /// Hides the name in these records.
    #[must_use]
    pub fn new(name: &UnusableName, records: &mut [u8]) -> Self {
        Self { name: name.bytes.clone(), hellos: vec![ShownHello::new(name, records)] }
    }

    /// The same as the client has sent it.
    pub(crate) fn restored(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let hello = self.hellos.iter().find(|hello| hello.begins(bytes))?;
        let mut restored = bytes.to_vec();
        restored.get_mut(hello.at..hello.at + 2)?.fill(0);
        Some(restored)
    }
}

/// The hello that answers a `HelloRetryRequest`, where the first had a name that is none.
#[derive(Debug, Default)]
pub struct SecondHello {
    reader: HelloReader,
}

impl SecondHello {
    /// Given all that was received after the first hello: may rustls be shown it? The name is hidden
    /// then. Anything but a hello is rustls's to refuse.
    ///
    /// # Errors
    /// It can never become a hello, or not one with the same name (RFC 8446, section 4.1.2).
    pub fn read(
        &mut self,
        hidden: &mut HiddenServerName,
        received: &mut [u8],
    ) -> Result<bool, HelloError> {
        if received.len() < CHANGE_CIPHER_SPEC.len() {
            return Ok(
                !CHANGE_CIPHER_SPEC.starts_with(received) && received.first() != Some(&HANDSHAKE)
            );
        }
        let start =
            if received.starts_with(&CHANGE_CIPHER_SPEC) { CHANGE_CIPHER_SPEC.len() } else { 0 };
        let records = received.get_mut(start..).unwrap_or_default();
        if records.first().is_some_and(|kind| *kind != HANDSHAKE) {
            return Ok(true);
        }
        match self.reader.read(records) {
            Ok(None) => Ok(false),
            Ok(Some(_)) => Err(HelloError::BadServerName),
            Err(error) => {
                let name = self.reader.unusable_name().ok_or(error)?;
                if name.bytes != hidden.name {
                    return Err(HelloError::BadServerName);
                }
                hidden.hellos.push(ShownHello::new(&name, records));
                Ok(true)
            }
        }
    }
}
