//! A value that some upstream may read as another one is held to what a route demands for both.

use ferrule_tests::{Authority, Dial, Setup, Upstream, echo, on_both_drivers, scratch};

use crate::write_ca;

/// What a condition asks for, requests that some upstream reads as asking for it, and others that none
/// does.
struct Case {
    condition: &'static str,
    meant: &'static [&'static str],
    other: &'static [&'static str],
    /// Every upstream reads this one as asking for it, and of this one only some do.
    certain: &'static str,
    doubtful: &'static str,
}

/// `@` in a request is its path; what follows `|` are its fields.
const CASES: [Case; 6] = [
    Case {
        condition: "['arg_admin', '==', '1']",
        meant: &[
            "GET @?admin=1",
            "GET @?admin=0&admin=1",
            "GET @?admin=1&admin=0",
            "GET @?admin&admin=1",
            "GET @?a=b;admin=1",
            "GET @?admin=0;admin=1",
            "GET @?%61dmin=1",
            "GET @?admin=%31",
            "GET @?admin=0&%61dmin=%31",
            "GET @?ADMIN=1",
            "GET @?admin=0&Admin=1",
            "GET http://a.test@?admin=0&admin=1",
        ],
        other: &["GET @", "GET @?admin=0", "GET @?admin=11", "GET @?xadmin=1", "GET @?x=admin=1"],
        certain: "GET @?admin=1",
        doubtful: "GET @?admin=1&admin=0",
    },
    Case {
        condition: "['cookie_role', '==', 'ops']",
        meant: &[
            "GET @|Cookie: role=ops",
            "GET @|Cookie: role=x; role=ops",
            "GET @|Cookie: role=ops; role=x",
            "GET @|Cookie: role=x|Cookie: role=ops",
            "GET @|Cookie: a=b;role=ops",
            "GET @|Cookie: role=\"ops\"",
            "GET @|Cookie: role=%6fps",
            "GET @|Cookie: role=x; Role=ops",
            "GET @|Cookie: r%6Fle=ops",
        ],
        other: &["GET @", "GET @|Cookie: role=x", "GET @|Cookie: xrole=ops", "GET @|Cookie: ops"],
        certain: "GET @|Cookie: role=ops",
        doubtful: "GET @|Cookie: role=ops; role=x",
    },
    Case {
        condition: "['http_x_role', '==', 'ops']",
        meant: &[
            "GET @|X-Role: ops",
            "GET @|x-role: ops",
            "GET @|X-Role: x|X-Role: ops",
            "GET @|X-Role: ops|X-Role: x",
            "GET @|X_Role: ops",
            "GET @|X-Role: x|X_Role: ops",
            "GET @|X.Role: ops",
            "GET @|X-Role: x|X~Role: ops",
        ],
        other: &["GET @", "GET @|X-Role: x", "GET @|XRole: ops", "GET @|X-Role-2: ops"],
        certain: "GET @|X-Role: ops",
        doubtful: "GET @|X-Role: ops|X.Role: x",
    },
    Case {
        condition: "['http_x_role', '==', '']",
        meant: &["GET @", "GET @|X-Role: x|Connection: X-Role", "GET @|X-Role: |X-Role: x"],
        other: &["GET @|X-Role: x", "GET @|X-Role: x|Connection: X-Other"],
        certain: "GET @",
        doubtful: "GET @|X-Role: |X.Role: x",
    },
    Case {
        condition: "['request_method', 'in', ['GET', 'DELETE']]",
        meant: &["GET @", "get @", "HEAD @", "head @", "DELETE @", "delete @", "Delete @"],
        other: &["POST @", "PUT @", "GETS @", "post @"],
        certain: "DELETE @",
        doubtful: "HEAD @",
    },
    Case {
        condition: "['OR', ['arg_a', '==', '1'], ['!AND', ['arg_b', '!', '==', '2'], ['cookie_c', '~=', '3']]]",
        meant: &["GET @?a=0&a=1", "GET @?b=1&b=2", "GET @|Cookie: c=1; c=3", "GET @?a=0&b=2"],
        other: &["GET @", "GET @?a=0&a=2&b=1&b=3|Cookie: c=1; c=2"],
        certain: "GET @?a=1",
        doubtful: "GET @?a=1&a=0",
    },
];

/// Both ways round for each case: a guarded route that is left by the condition, and one that an open
/// route with it stands in front of.
fn config() -> String {
    let mut text = "[http]\nunderscores_in_headers = true\n[[listen]]\n\
        address = \"127.0.0.1:@front@\"\ntls = true\n[[ssls]]\nsni = 'a.test'\ncert = 'server.crt'\n\
        key = 'server.key'\nclient = { ca = 'ca.crt', verify = 'optional' }\n\
        [[upstreams]]\nid = 'up'\nnodes = { \"127.0.0.1:@upstream@\" = 1 }\n"
        .to_owned();
    let mut route = |path: usize, kind: &str, lines: &str| {
        text += "[[routes]]\nuri = '/";
        text += kind;
        text += &path.to_string();
        text += "'\nupstream_id = 'up'\n";
        text += lines;
    };
    for (at, case) in CASES.iter().enumerate() {
        let condition = ["priority = 1\nvars = [", case.condition, "]\n"].concat();
        route(at, "guarded", &[&condition, "client.verify = 'on'\n"].concat());
        route(at, "guarded", "");
        route(at, "open", &condition);
        route(at, "open", "client.verify = 'on'\n");
    }
    text
}

on_both_drivers! {
    fn a_value_with_several_readings_is_held_to_the_demands_of_all(driver) {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let authority = Authority::new("Root");
        write_ca(scratch.path(), "ca", &authority);
        authority.server(&["a.test"]).write(scratch.path(), "server");
        let gateway =
            Setup::new(scratch.path(), driver, &config()).set("upstream", &upstream.port).start();
        let nobody = Dial::new(Some("a.test"));
        let client = Dial::as_client("a.test", &authority.client("me"));
        let ask = |dial: &Dial, request: &str, path: &str| {
            let mut parts = request.split('|');
            let line = parts.next().unwrap_or_default().replace('@', path);
            let fields: String = parts.flat_map(|field| [field, "\r\n"]).collect();
            let mut raw = dial.connect(gateway.port("front")).expect("a handshake");
            let head = format!("{line} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n");
            raw.send(head.as_bytes()).expect("a connection");
            let method = line.split(' ').next().unwrap_or_default();
            raw.response(method).expect("an answer").status()
        };
        for (at, case) in CASES.iter().enumerate() {
            let (guarded, open) = (format!("/guarded{at}"), format!("/open{at}"));
            for request in case.meant {
                assert_eq!(ask(&nobody, request, &guarded), 403, "{request} {guarded}");
                assert_eq!(ask(&client, request, &guarded), 200, "{request} {guarded}");
                assert_eq!(ask(&client, request, &open), 200, "{request} {open}");
            }
            for request in case.other {
                assert_eq!(ask(&nobody, request, &guarded), 200, "{request} {guarded}");
                assert_eq!(ask(&nobody, request, &open), 403, "{request} {open}");
            }
            // A doubt counts against the client either way.
            assert_eq!(ask(&nobody, case.certain, &open), 200, "{} {open}", case.certain);
            assert_eq!(ask(&nobody, case.doubtful, &open), 403, "{} {open}", case.doubtful);
        }
    }
}
