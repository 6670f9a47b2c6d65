//! The image, its profile of system calls, and the manifests of Kubernetes.

use std::collections::BTreeSet;

use ferrule_tests::{Driver, Setup, Upstream, echo, raw, scratch, source_dir};
use serde_json::Value;

use super::kit::{run, text};

const CONFIG: &str = "[metrics]\nlisten = \"127.0.0.1:@metrics@\"\n\n[[listen]]\n\
                      address = \"127.0.0.1:@front@\"\n\n[[routes]]\nuri = \"/*\"\n\
                      upstream.nodes = { \"127.0.0.1:@upstream@\" = 1 }\n";
const PROFILE: &str = "tools/package/container/seccomp.json";

fn allowed() -> BTreeSet<String> {
    let profile: Value = serde_json::from_str(&text(PROFILE)).expect("JSON");
    let rules = profile["syscalls"].as_array().expect("rules").iter();
    let rules = rules.filter(|rule| rule["action"] == "SCMP_ACT_ALLOW");
    let names = rules.flat_map(|rule| rule["names"].as_array().expect("names").clone());
    names.map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// The real binary under the profile, as a container's runtime sets it: `io_uring` serves. Without the rings in the
/// profile it serves on epoll, so it is the profile that lets them through.
#[test]
fn the_profile_lets_the_rings_through_and_everything_else_that_is_needed() {
    let launcher = source_dir().join("tests/package/under_profile.py");
    let profile = source_dir().join(PROFILE);
    let [launcher, profile] = [&launcher, &profile].map(|path| path.to_str().expect("text"));
    let rings = ["-io_uring_setup", "-io_uring_enter", "-io_uring_register"];
    for (lacking, driver) in [(&rings[..0], "io_uring"), (&rings[..], "epoll")] {
        let (scratch, upstream) = (scratch(), Upstream::plain(echo()));
        let mut words = vec!["/usr/bin/python3", launcher, profile];
        words.extend(lacking);
        let mut gateway = Setup::new(scratch.path(), Driver::IoUring, CONFIG)
            .runtime(
                "workers = 1\nring_entries = 256\nmax_connections = 1024\nio_driver = \"auto\"\n",
            )
            .log_line("access = \"access.log\"")
            .set("upstream", &upstream.port)
            .under(&words)
            .start();
        assert!(gateway.log().contains(&format!("driver {driver}")), "{}", gateway.log());
        for path in ["/", "/again"] {
            assert_eq!(raw::plain_get(gateway.port("front"), "x", path).status(), 200);
        }
        assert_eq!(raw::plain_get(gateway.port("metrics"), "127.0.0.1", "/readyz").status(), 200);
        let _ = gateway.signal_reload();
        assert!(gateway.stop().success(), "{}", gateway.log());
    }
}

/// Whatever the unit of systemd lets through, the profile does, and nothing that only root needs.
#[test]
fn the_profile_is_that_of_the_unit() {
    let scratch = scratch();
    let said = run(
        scratch.path(),
        "expand() { systemd-analyze syscall-filter --no-pager \"$1\" | tail -n +2 | tr -d ' ' | grep -v '^#' | \
           while read -r name; do case $name in '') ;; @*) expand $name ;; *) echo $name ;; esac; done; }
         expand @privileged | sort -u > $scratch/no; expand @resources | sort -u >> $scratch/no
         expand @system-service | sort -u | grep -vxF -f $scratch/no",
    );
    let profile = allowed();
    // `RestrictNamespaces=`, `KeyringMode=` and `LockPersonality=` of the unit take most of these away, and nobody needs
    // the others. `clone3` hides its flags from a filter: the C library takes `clone` where there is none.
    let closed = [
        "setns",
        "unshare",
        "clone3",
        "add_key",
        "keyctl",
        "request_key",
        "personality",
        "userfaultfd",
        "process_vm_readv",
        "process_vm_writev",
    ];
    let wanted = said.lines().filter(|name| !closed.contains(name));
    let wanted: BTreeSet<String> = wanted.map(str::to_owned).collect();
    assert!(wanted.len() > 200, "{said}");
    let missing: Vec<_> = wanted.difference(&profile).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for call in ["mount", "bpf", "ptrace", "init_module", "kexec_load", "reboot", "chroot"]
        .iter()
        .chain(&closed)
    {
        assert!(!profile.contains(*call), "{call}");
    }
}

/// Every manifest is of its schema, to the last key; and what our promises rest on stands in it.
#[test]
fn the_manifests_are_of_their_schemas() {
    let scratch = scratch();
    run(
        scratch.path(),
        "tests/package/install
         for file in ferrule deployment; do
           target/package-tools/bin/kubernetes-validate --strict tools/package/kubernetes/$file.yaml
         done
         /usr/bin/python3 -c '
import sys, yaml
# The schema of cert-manager is not among those of Kubernetes: its fields by hand.
[certificate] = yaml.safe_load_all(open(\"tools/package/kubernetes/certificate.yaml\"))
assert certificate[\"apiVersion\"] == \"cert-manager.io/v1\" and certificate[\"kind\"] == \"Certificate\"
spec = certificate[\"spec\"]
assert set(spec) <= {\"secretName\", \"duration\", \"renewBefore\", \"privateKey\", \"usages\", \"dnsNames\", \"issuerRef\"}
assert spec[\"secretName\"] and spec[\"issuerRef\"][\"name\"]
for name, kind in ((\"ferrule\", \"DaemonSet\"), (\"deployment\", \"Deployment\")):
    objects = list(yaml.safe_load_all(open(f\"tools/package/kubernetes/{name}.yaml\")))
    [pod] = [o[\"spec\"][\"template\"][\"spec\"] for o in objects if o[\"kind\"] == kind]
    [container] = pod[\"containers\"]
    assert container[\"readinessProbe\"][\"httpGet\"][\"path\"] == \"/readyz\"
    assert container[\"livenessProbe\"][\"httpGet\"][\"path\"] == \"/livez\"
    stop = container[\"lifecycle\"][\"preStop\"][\"sleep\"][\"seconds\"]
    assert pod[\"terminationGracePeriodSeconds\"] > stop + 30, \"a drain takes 30 s\"
    security = container[\"securityContext\"]
    assert security[\"readOnlyRootFilesystem\"] and not security[\"allowPrivilegeEscalation\"]
    assert security[\"capabilities\"] == {\"drop\": [\"ALL\"]}
    assert pod[\"securityContext\"][\"seccompProfile\"][\"type\"] == \"Localhost\"
    secrets = [v[\"secret\"][\"secretName\"] for v in pod[\"volumes\"] if \"secret\" in v]
    assert secrets == [spec[\"secretName\"]]
[config] = [o for o in yaml.safe_load_all(open(\"tools/package/kubernetes/ferrule.yaml\")) if o[\"kind\"] == \"ConfigMap\"]
open(sys.argv[1], \"w\").write(config[\"data\"][\"ferrule.toml\"])
' $scratch/ferrule.toml
         $ferrule dump $scratch/ferrule.toml > /dev/null",
    );
}

/// The image runs as nobody, and has what the unit has: the same file, the same signal.
#[test]
fn the_image_runs_as_nobody() {
    let file = text("tools/package/container/Dockerfile");
    let lines: Vec<&str> = file.lines().collect();
    let last = lines.iter().rposition(|line| line.starts_with("FROM ")).expect("a stage");
    assert!(
        lines[last].contains("distroless") && lines[last].ends_with(":nonroot"),
        "{}",
        lines[last]
    );
    for line in ["USER 65532:65532", "STOPSIGNAL SIGTERM", "ENTRYPOINT [\"/usr/bin/ferrule\"]"] {
        assert!(lines[last..].contains(&line), "{line}");
    }
    let toolchain = text("rust-toolchain.toml");
    let version =
        lines.iter().find_map(|line| line.strip_prefix("ARG RUST_VERSION=")).expect("a version");
    assert!(toolchain.contains(&format!("\"{version}.")), "{version}");
}
