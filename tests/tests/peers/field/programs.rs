//! The clients and upstreams: what each needs, how it is made ready and how it runs.

use std::path::Path;

use ferrule_tests::shell;

/// A client or an upstream.
///
/// The scripts have `$top` (the tree), `$clients` and `$upstreams` (the programs of ours), and `$identity`: the
/// names of the authority, the certificate and the key over TLS, and nothing without. A client has `$url` and
/// the file `scenarios`, an upstream `$port`.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// A shell command that succeeds where the program is installed. Empty for what `tests/run` installs.
    pub(crate) needs: &'static str,
    /// Prints the version.
    pub(crate) version: &'static str,
    pub(crate) prepare: &'static str,
    pub(crate) run: &'static str,
    /// An upstream that can ask for a certificate, a client that can show one.
    pub(crate) has_tls: bool,
    /// Scenarios that it does not survive even without a proxy.
    pub(crate) left_out: &'static [&'static str],
}

impl Program {
    pub(crate) fn is_installed(&self) -> bool {
        let script = format!("if {}; then echo yes; fi", self.needs);
        self.needs.is_empty() || shell(Path::new("/"), &script).contains("yes")
    }
}

const OURS: Program = Program {
    name: "",
    needs: "",
    version: "",
    prepare: "",
    run: "",
    has_tls: true,
    left_out: &[],
};

pub(crate) const CLIENTS: [Program; 9] = [
    NODE,
    Program {
        name: "Python requests",
        version: "$top/target/early-clients/bin/pip list 2>&1 | grep '^requests '",
        run: "$top/target/early-clients/bin/python $clients/ask.py requests $url scenarios $identity",
        // It takes a 102 or 103 for the answer, and the answer for that to its next request.
        left_out: &["early-hints", "processing"],
        ..OURS
    },
    Program {
        name: "Python httpx",
        version: "$top/target/early-clients/bin/pip list 2>&1 | grep '^httpx '",
        run: "$top/target/early-clients/bin/python $clients/ask.py httpx $url scenarios $identity",
        ..OURS
    },
    Program {
        name: "Python aiohttp",
        version: "$top/target/early-clients/bin/pip list 2>&1 | grep '^aiohttp '",
        run: "$top/target/early-clients/bin/python $clients/ask.py aiohttp $url scenarios $identity",
        ..OURS
    },
    Program {
        name: "Go net/http",
        needs: "command -v go",
        version: "go version",
        prepare: "GOFLAGS=-mod=mod GOCACHE=$PWD/go-cache go build -o ask-go $clients/ask.go",
        run: "./ask-go $url scenarios $identity",
        ..OURS
    },
    Program {
        name: "Java HttpClient",
        needs: "command -v javac && [ -e /usr/share/java/httpclient5.jar ]",
        version: "java -version 2>&1 | head -1",
        prepare: "javac -nowarn -cp '/usr/share/java/*' -d . $clients/Ask*.java 2>/dev/null",
        run: "java -cp '.:/usr/share/java/*' Ask java $url scenarios ${identity:+client.p12}",
        // It waits for ever if the answer to an expectation is not a 100 (JDK-8286171).
        left_out: &["refused-expect"],
        ..OURS
    },
    Program {
        name: "Apache HttpClient",
        needs: "command -v javac && [ -e /usr/share/java/httpclient5.jar ]",
        version: "dpkg-query -W libhttpclient5-java",
        prepare: "javac -nowarn -cp '/usr/share/java/*' -d . $clients/Ask*.java 2>/dev/null",
        run: "java -cp '.:/usr/share/java/*' Ask apache $url scenarios ${identity:+client.p12} 2>/dev/null",
        ..OURS
    },
    Program {
        name: "PHP curl",
        needs: "php -m 2>/dev/null | grep -q curl",
        version: "php --version | head -1",
        run: "php $clients/ask.php $url scenarios $identity",
        ..OURS
    },
    Program {
        name: "Ruby Net::HTTP",
        needs: "command -v ruby",
        version: "ruby --version",
        run: "ruby $clients/ask.rb $url scenarios $identity",
        ..OURS
    },
];

/// The client that asks all upstreams.
pub(crate) const NODE: Program = Program {
    name: "Node http",
    version: "node --version",
    run: "node $clients/ask.js $url scenarios $identity",
    ..OURS
};

/// The upstream that all clients ask.
pub(crate) const NODE_SERVER: Program = Program {
    name: "Node http",
    version: "node --version",
    run: "exec node $upstreams/serve.js $port $identity",
    ..OURS
};

pub(crate) const UPSTREAMS: [Program; 8] = [
    Program {
        name: "Python gunicorn",
        version: "$top/target/gunicorn/bin/gunicorn --version",
        run: "set -- $identity; exec $top/target/gunicorn/bin/gunicorn --worker-class gthread --threads 4 \
              --keep-alive 1 --bind 127.0.0.1:$port --chdir $upstreams \
              ${1:+--ca-certs $PWD/$1 --certfile $PWD/$2 --keyfile $PWD/$3 --cert-reqs 2} wsgi:app",
        ..OURS
    },
    Program {
        name: "Python uvicorn",
        version: "$top/target/websocket/bin/uvicorn --version",
        run: "set -- $identity; exec $top/target/websocket/bin/uvicorn --host 127.0.0.1 --port $port \
              --timeout-keep-alive 1 --app-dir $upstreams \
              ${1:+--ssl-ca-certs $1 --ssl-certfile $2 --ssl-keyfile $3 --ssl-cert-reqs 2} asgi:app",
        ..OURS
    },
    Program {
        name: "Python aiohttp",
        version: "$top/target/early-clients/bin/pip list 2>&1 | grep '^aiohttp '",
        run: "exec $top/target/early-clients/bin/python $upstreams/serve_aiohttp.py $port $identity",
        ..OURS
    },
    Program {
        name: "Tomcat",
        needs: "command -v javac && [ -e /usr/share/java/tomcat10-annotations-api.jar ] \
                && [ -e /usr/share/java/tomcat10-embed-core.jar ]",
        version: "dpkg-query -W libtomcat10-embed-java",
        prepare: "javac -nowarn -cp '/usr/share/java/*' -d tomcat $upstreams/{App,TomcatServer}.java 2> /dev/null",
        run: "exec java -cp 'tomcat:/usr/share/java/*' TomcatServer $port $identity",
        ..OURS
    },
    Program {
        name: "Jetty",
        needs: "command -v javac && [ -e /usr/share/java/jetty9-servlet.jar ]",
        version: "dpkg-query -W libjetty9-java",
        prepare: "mkdir -p jetty; sed 's/jakarta[.]servlet/javax.servlet/' $upstreams/App.java > jetty/App.java; \
                  javac -nowarn -cp '/usr/share/java/*' -d jetty jetty/App.java $upstreams/JettyServer.java 2> /dev/null",
        run: "exec java -cp 'jetty:/usr/share/java/*' JettyServer $port $identity",
        ..OURS
    },
    Program {
        name: "PHP",
        needs: "command -v php",
        version: "php --version | head -1",
        run: "exec php -S 127.0.0.1:$port $upstreams/serve.php",
        has_tls: false,
        // It never sends a 100.
        left_out: &["put-expect", "refused-expect"],
        ..OURS
    },
    Program {
        name: "Ruby Puma",
        needs: "command -v puma",
        version: "puma --version",
        run: "set -- $identity; bind=tcp://127.0.0.1:$port; \
              [ -z \"$identity\" ] || bind=\"ssl://127.0.0.1:$port?ca=$1&cert=$2&key=$3&verify_mode=force_peer\"; \
              exec puma --early-hints -e production -t 4:4 -b \"$bind\" $upstreams/puma.ru",
        ..OURS
    },
    Program {
        name: "Go net/http",
        needs: "command -v go",
        version: "go version",
        prepare: "GOFLAGS=-mod=mod GOCACHE=$PWD/go-cache go build -o serve-go $upstreams/serve.go",
        run: "exec ./serve-go $port $identity",
        ..OURS
    },
];
