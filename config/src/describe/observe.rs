//! The tables that let the process be watched and told what to do.

use crate::describe::key::{Fallback, Kind, Table, optional, with};

pub(super) static METRICS: Table = Table {
    name: "metrics",
    doc: "Metrics for Prometheus, over plain HTTP, GET and HEAD only. `docs/metrics.md` names them all. The same \
          listener answers `/livez` and `/readyz`.",
    keys: &[
        with(
            "listen",
            Kind::Text,
            Fallback::Text("127.0.0.1:9091"),
            "Address and port. There is no authentication: keep it on loopback, or behind a \
                 firewall.",
        ),
        with("path", Kind::Text, Fallback::Text("/metrics"), "The path of the metrics."),
        optional(
            "status_path",
            Kind::Text,
            "no status page",
            "The path of the status page (`docs/status-page.md`), as `/status`. The page names routes, upstreams, \
                 certificates and clients, and who can reach the listener can read it.",
        ),
        optional(
            "import_report",
            Kind::Text,
            "none is shown",
            "The file with what `ferrule import` printed when it made this configuration, for the status page to show: \
                 what was converted, what means something else, and what was left out. It is text, read again when \
                 somebody looks, its first 2000 lines; the configuration is good without it. Only with `status_path`.",
        ),
        optional(
            "hosts",
            Kind::Texts,
            "none",
            "Names that a request's `Host` may have besides `localhost` and any IP address; others \
                 are refused, so that no web page can read the metrics through a browser.",
        ),
    ],
    refused: &[],
};

pub(super) static ADMIN: Table = Table {
    name: "admin",
    doc: "The Unix socket of `ferrule ctl`. Only root and the user that the process runs as get \
         in.",
    keys: &[with(
        "socket",
        Kind::Text,
        Fallback::Text("/run/ferrule/ctl.sock"),
        "The path of the socket; its directory must exist.",
    )],
    refused: &[],
};
