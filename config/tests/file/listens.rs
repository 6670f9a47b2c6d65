//! Where to listen: addresses, given once, for IPv6, IPv4 or both.

use crate::problems::{ROUTE, TLS_LISTEN, assert_problems, problems};

#[test]
fn listeners_are_addresses_given_once() {
    let cases = [
        ("':80'", "is not an address"),
        ("'localhost:80'", "is not an address"),
        ("'10.0.0.1'", "is not an address"),
        ("'unix:/run/x'", "is not an address"),
    ];
    for (address, message) in cases {
        let text = format!("listen = [{{ address = {address} }}]\n{ROUTE}");
        assert_problems(&text, &[(1, 23, "listen[0].address", message)]);
    }
    let twice = "[[listen]]\naddress = '0.0.0.0:80'\n[[listen]]\naddress = '0.0.0.0:80'\n";
    let wanted = [(4, 11, "listen[1].address", "line 2 listens on 0.0.0.0:80 already")];
    assert_problems(&format!("{twice}{ROUTE}"), &wanted);
    let wanted = [(1, 44, "listen[0].tls", "there is none")];
    assert_problems(&format!("{TLS_LISTEN}{ROUTE}"), &wanted);
    let plain = "listen = [{ address = '0.0.0.0:80', fallback_sni = 'a' }]\n";
    let wanted = [
        (1, 52, "listen[0].fallback_sni", "for TLS only"),
        (1, 52, "listen[0].fallback_sni", "no [[ssls]] serves the name `a`"),
    ];
    assert_problems(&format!("{plain}{ROUTE}"), &wanted);
}

/// The kernel gives one socket one port: two tables would share it.
#[test]
fn port_0_is_one_port_for_each_address() {
    let of = |addresses: [&str; 2]| {
        let [first, second] = addresses;
        format!("[[listen]]\naddress = '{first}:0'\n[[listen]]\naddress = '{second}:0'\n{ROUTE}")
    };
    let wanted = [(4, 11, "listen[1].address", "port 0 is on line 2 already for this address")];
    assert_problems(&of(["127.0.0.1", "127.0.0.1"]), &wanted);
    for addresses in [["127.0.0.1", "127.0.0.2"], ["0.0.0.0", "[::]"], ["127.0.0.1", "0.0.0.0"]] {
        assert!(problems(&of(addresses)).is_empty(), "{addresses:?}");
    }
}

/// One socket for both families, and what stands in its way.
#[test]
fn an_address_for_ipv6_takes_ipv4_if_it_says_so() {
    let of = |lines: &str| format!("{}{ROUTE}", lines.replace(';', "\n"));
    let both = "[[listen]];address = '[::]:443';ipv6only = false;";
    for (lines, wanted) in [
        ("[[listen]];address = '[::]:443';[[listen]];address = '0.0.0.0:443';".to_owned(), None),
        (both.to_owned(), None),
        (format!("{both}[[listen]];address = '127.0.0.1:443';"), None),
        (
            format!("{both}[[listen]];address = '0.0.0.0:443';"),
            Some((5, 11, "listen[1].address", "line 2 listens on 0.0.0.0:443 already")),
        ),
        (
            format!("[[listen]];address = '0.0.0.0:443';{both}"),
            Some((4, 11, "listen[1].address", "line 2 listens on 0.0.0.0:443 already")),
        ),
        (
            format!("[[listen]];address = '[::]:443';{both}"),
            Some((4, 11, "listen[1].address", "line 2 listens on [::]:443 already")),
        ),
        (
            format!("{both}[metrics];listen = '0.0.0.0:443';"),
            Some((5, 10, "metrics.listen", "listens on 0.0.0.0:443 already")),
        ),
        (
            "[[listen]];address = '0.0.0.0:443';ipv6only = false;".to_owned(),
            Some((3, 12, "listen[0].ipv6only", "for IPv6 addresses only")),
        ),
        (
            "[[listen]];address = '[::1]:443';ipv6only = false;".to_owned(),
            Some((3, 12, "listen[0].ipv6only", "no IPv4 client gets there")),
        ),
        (
            "[[listen]];address = '[::ffff:10.0.0.1]:443';".to_owned(),
            Some((2, 11, "listen[0].address", "in IPv6 spelling")),
        ),
    ] {
        assert_problems(&of(&lines), &wanted.into_iter().collect::<Vec<_>>());
    }
    let shown = problems(&of(&format!("{both}[[listen]];address = '0.0.0.0:443';"))).to_string();
    assert!(shown.contains("one of the two is enough"), "{shown}");
}
