//! The wrong kind of file in every place: the message says what it is, and what to do.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::stage::{Outcome, Place, Stage};

/// What a file may hold, and how it is called.
struct Thing {
    name: &'static str,
    called: &'static str,
    bytes: Vec<u8>,
}

fn openssl(dir: &Path, arguments: &str) -> Vec<u8> {
    let done = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(dir)
        .output()
        .expect("openssl");
    assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

/// As `openssl` and others write them; every one in DER where it has one.
fn things(stage: &Stage) -> Vec<Thing> {
    let dir = stage.dir.path();
    for (name, text) in [("c.pem", &stage.leaf), ("k.pem", &stage.key), ("l.pem", &stage.lists[0])]
    {
        fs::write(dir.join(name), text).expect("a file");
    }
    let make = |arguments: &str| openssl(dir, arguments);
    let thing = |name, called, bytes| Thing { name, called, bytes };
    let request = "req -new -key k.pem -subj /CN=x -batch";
    let armour = |label: &str, body: &str| {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").into_bytes()
    };
    let body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtz";
    vec![
        thing("certificate, DER", "a certificate", make("x509 -in c.pem -outform DER")),
        thing("key, DER", "a private key", make("pkcs8 -topk8 -nocrypt -in k.pem -outform DER")),
        thing("SEC1, DER", "a private key", make("ec -in k.pem -outform DER")),
        thing(
            "encrypted key, DER",
            "a private key",
            make("pkcs8 -topk8 -passout pass:x -in k.pem -outform DER"),
        ),
        thing("public key, DER", "a public key", make("pkey -in k.pem -pubout -outform DER")),
        thing("public key", "a public key", make("pkey -in k.pem -pubout")),
        thing("list, DER", "a revocation list", make("crl -in l.pem -outform DER")),
        thing("request", "a certificate request (CSR)", make(request)),
        thing(
            "request, DER",
            "a certificate request (CSR)",
            make(&format!("{request} -outform DER")),
        ),
        thing("PKCS#7", "PKCS#7", make("crl2pkcs7 -nocrl -certfile c.pem")),
        thing("PKCS#7, DER", "PKCS#7", make("crl2pkcs7 -nocrl -certfile c.pem -outform DER")),
        thing("PKCS#12", "PKCS#12", make("pkcs12 -export -in c.pem -inkey k.pem -passout pass:x")),
        thing("JKS", "a Java key store", b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\x01".to_vec()),
        thing("a line of OpenSSH", "a public key", b"ssh-ed25519 AAAAC3NzaC1lZDI1 me\n".to_vec()),
        thing("OpenSSH", "a private key in a format of SSH", armour("OPENSSH PRIVATE KEY", body)),
        thing(
            "PuTTY",
            "a private key in a format of SSH",
            b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n".to_vec(),
        ),
        thing(
            "OCSP response, DER",
            "an OCSP response",
            b"\x30\x0a\x0a\x01\x00\xa0\x05\x30\x03\x06\x01\x2a".to_vec(),
        ),
        thing("OCSP response", "an OCSP response", armour("OCSP RESPONSE", "MAoKAQCgBTADBgEq")),
    ]
}

/// Is it what this place takes, or found out to be none later?
fn is_at_home(place: Place, name: &str) -> bool {
    match place {
        Place::ClientCrl | Place::UpstreamCrl => name == "list, DER",
        Place::Stapling => name == "OCSP response, DER",
        // Told by its label.
        Place::Key | Place::Cert | Place::ClientCa | Place::UpstreamCa => name == "OpenSSH",
    }
}

#[test]
fn a_file_of_the_wrong_kind_is_called_what_it_is() {
    let stage = Stage::new();
    let mut wrong = Vec::new();
    for place in Place::ALL.into_iter().chain([Place::Stapling]) {
        for Thing { name, called, bytes } in things(&stage) {
            let outcome = stage.load(place, &bytes, false);
            let told = match &outcome {
                Outcome::Refused(problems) => {
                    let says = problems.contains(&format!("it is {called}"));
                    (says || is_at_home(place, name)) && problems.contains("help")
                }
                Outcome::Taken(..) => is_at_home(place, name),
            };
            if !told {
                wrong.push(format!("{name} as {place:?}: {outcome:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// The very command that mends it.
#[test]
fn the_way_out_is_told() {
    let stage = Stage::new();
    let things = things(&stage);
    for (place, name, words) in [
        (Place::Cert, "certificate, DER", "openssl x509 -inform DER"),
        (Place::ClientCa, "PKCS#7", "openssl pkcs7 -print_certs"),
        (Place::Cert, "PKCS#12", "openssl pkcs12 -in FILE -nokeys"),
        (Place::Key, "PKCS#12", "openssl pkcs12 -in FILE -nocerts"),
        (Place::Key, "key, DER", "openssl pkey -inform DER"),
        (Place::Key, "JKS", "keytool -importkeystore"),
        (Place::Key, "OpenSSH", "ssh-keygen -p -m PKCS8"),
        (Place::Key, "public key", "the private key that belongs to it"),
        (Place::Cert, "request", "the certificate that the CA has made of it"),
        (Place::ClientCa, "list, DER", "named in `crl`"),
        (Place::ClientCrl, "certificate, DER", "authorities in `ca`"),
        (Place::Stapling, "OCSP response", "in PEM, and DER is needed"),
        (Place::Stapling, "OCSP response", "openssl base64 -d"),
        (Place::Stapling, "request", "openssl ocsp -issuer CA"),
    ] {
        let thing = things.iter().find(|thing| thing.name == name).expect("one of them");
        match stage.load(place, &thing.bytes, false) {
            Outcome::Refused(problems) => {
                assert!(problems.contains(words), "{name} as {place:?}: {problems}");
            }
            Outcome::Taken(..) => panic!("{name} as {place:?} was taken"),
        }
    }
}

#[test]
fn what_is_empty_or_no_file_is_called_so() {
    let stage = Stage::new();
    for place in Place::ALL.into_iter().chain([Place::Stapling]) {
        let Outcome::Refused(problems) = stage.load(place, b"", false) else {
            panic!("{place:?}: nothing was taken");
        };
        assert!(problems.contains("is empty"), "{place:?}: {problems}");
    }
}
