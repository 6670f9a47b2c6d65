//! The records of RFC 8448, section 3: application data and alerts in both directions.

use data_encoding::HEXLOWER;
use ferrule_engine::tls::record::cipher::{Aead, Protection};

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    HEXLOWER.decode(digits.as_bytes()).expect("hexadecimal")
}

struct Side {
    key: &'static str,
    iv: &'static str,
    /// Records that went before.
    sequence: u64,
    data: &'static str,
    alert: &'static str,
}

const CLIENT: Side = Side {
    key: "17 42 2d da 59 6e d5 d9 ac d8 90 e3 c6 3f 50 51",
    iv: "5b 78 92 3d ee 08 57 90 33 e5 23 d9",
    sequence: 0,
    data: "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab \
           3f 2b 98 19 a8 a5 b4 6b 39 5b d5 4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d \
           ea e6 3a ee bb 21 69 49 15 e4",
    alert: "17 03 03 00 13 c9 87 27 60 65 56 66 b7 4d 7f f1 15 3e fd 6d b6 d0 b0 e3",
};

const SERVER: Side = Side {
    key: "9f 02 28 3b 6c 9c 07 ef c2 6b b9 f2 ac 92 e3 56",
    iv: "cf 78 2b 88 dd 83 54 9a ad f1 e9 84",
    // The ticket.
    sequence: 1,
    data: "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa 1b \
           36 e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 \
           32 54 0d d0 32 e1 67 c2 95 5d",
    alert: "17 03 03 00 13 b5 8f d6 71 66 eb f5 99 d2 47 20 cf be 7e fa 7a 88 64 a9",
};

#[test]
fn the_records_of_rfc_8448_open_and_seal() {
    let words: Vec<u8> = (0..50).collect();
    for side in [CLIENT, SERVER] {
        let keys = || {
            let (key, iv) = (hex(side.key), hex(side.iv));
            Protection::new(side.sequence, Aead::Aes128Gcm, &key, &iv).expect("right lengths")
        };
        let (mut opener, mut sealer) = (keys(), keys());
        for (record, content_type, content) in
            [(side.data, 23, &words[..]), (side.alert, 21, &[1, 0])]
        {
            let mut wire = hex(record);
            let mut sealed = vec![0; wire.len()];
            assert_eq!(sealer.seal(content_type, content, &mut sealed), Ok(wire.len()));
            assert_eq!(sealed, wire);
            let (header, body) = wire.split_first_chunk_mut().expect("a header");
            let inner = opener.open(*header, body).expect("an authentic record");
            assert_eq!(inner, [content, &[content_type]].concat());
        }
    }
}
