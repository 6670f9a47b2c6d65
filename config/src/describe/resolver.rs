//! `[runtime.resolver]`.

use crate::defaults;
use crate::describe::key::{Kind, Table, duration, optional};

pub(super) static RESOLVER: Table = Table {
    name: "runtime.resolver",
    doc: "How names of upstream nodes are looked up: /etc/hosts first, then DNS (see docs/names.md). \
          These keys change with a reload.",
    keys: &[
        optional(
            "nameservers",
            Kind::Texts,
            "those of /etc/resolv.conf",
            "DNS servers, in the order in which they are asked: \"10.0.0.2\", \"10.0.0.2:5353\", \
                 \"[fd00::2]:53\". Search domains and options stay those of /etc/resolv.conf.",
        ),
        duration(
            "min_ttl",
            defaults::RESOLVER_MIN_TTL,
            "A name is not looked up again sooner, whatever the TTL of its records says.",
        ),
        duration(
            "max_ttl",
            defaults::RESOLVER_MAX_TTL,
            "A name is looked up again after this time at the latest.",
        ),
    ],
    refused: &[],
};
