//! Certificates of `bind` lines, as `[[ssls]]`: HAProxy takes the names from the certificates themselves.

use toml::Value as Toml;

use crate::fields::{plain, put};
use crate::proof::{Draft, Source};
use crate::work::Work;

use super::bind::BindLine;
use super::files::{CertificateFile, ProxyFiles};

/// The `[[ssls]]` of all binds.
#[derive(Default)]
pub(super) struct ServerNames {
    objects: Vec<NamedCertificate>,
}

/// One of them.
struct NamedCertificate {
    /// Which bind it belongs to.
    bind: usize,
    names: Vec<String>,
    file: CertificateFile,
    more: Vec<CertificateFile>,
    settings: toml::Table,
    source: Source,
}

impl ServerNames {
    /// Takes the certificates of a bind, and says in it which name is assumed for clients that send none.
    pub(super) fn take(&mut self, bind: &mut BindLine, at: usize, work: &Work) {
        let BindLine { line, tls, .. } = bind;
        let Some(tls) = tls else { return };
        let mut fallback = None;
        // Those of another `bind` do not keep a name from the certificates of this one.
        let mut own: Vec<String> = Vec::new();
        for (number, certificate) in tls.certificates.iter().enumerate() {
            let place = &certificate.line;
            let mut file = match ProxyFiles::open(&certificate.path) {
                Ok(file) => file,
                Err(message) => {
                    place.refuse(work, 0, message);
                    continue;
                }
            };
            if !certificate.names.is_empty() {
                file.names.clone_from(&certificate.names);
            }
            if number == 0 {
                if file.names.is_empty() {
                    file.names.push(format!("default-{at}.invalid"));
                }
                let first = file.names.first().map(|name| name.replace('*', "default"));
                fallback = first.filter(|_| !tls.strict_sni);
            }
            own.extend(file.names.iter().cloned());
            let path = format!("{}: bind", line.owner);
            let source =
                Source { path, file: place.file.as_deref().map(str::to_owned), spot: place.spot() };
            if let Err(message) = self.add(file, at, &certificate.settings, source) {
                place.refuse(work, 0, message);
            }
        }
        for certificate in &tls.certificates {
            let open = certificate.excluded.iter().find(|name| !own.contains(name));
            if let Some(name) = open {
                certificate.line.refuse(work, 0, format!(
                    "`!{name}` is a name that no other certificate of this `bind` has, and here the one with `*` would take it: \
                     give it a certificate, or list the names that this one is for"
                ));
            }
        }
        put(&mut tls.settings, "fallback", fallback.map(|name| plain(&name)));
    }

    fn add(
        &mut self,
        mut file: CertificateFile,
        bind: usize,
        settings: &toml::Table,
        source: Source,
    ) -> Result<(), String> {
        let mut same = None;
        for (at, object) in self.objects.iter().enumerate() {
            let shared: Vec<&String> =
                file.names.iter().filter(|name| object.names.contains(name)).collect();
            let Some(name) = shared.first() else { continue };
            if object.settings != *settings
                || (object.bind != bind && object.file.cert != file.cert)
            {
                return Err(format!(
                    "{name} is a server name of two `bind` lines that differ, or of two lines of a list: here a name \
                     has one certificate and one policy, whatever the port"
                ));
            }
            same = Some(at);
            file.names.retain(|name| !object.names.contains(name));
        }
        match same.and_then(|at| self.objects.get_mut(at)) {
            // The same certificate on another port, or one of another kind of key for the same names.
            Some(object) if file.names.is_empty() => {
                if object.file.cert != file.cert {
                    object.more.push(file);
                }
            }
            _ if file.names.is_empty() => {}
            _ => self.objects.push(NamedCertificate {
                bind,
                names: file.names.clone(),
                file,
                more: Vec::new(),
                settings: settings.clone(),
                source,
            }),
        }
        Ok(())
    }

    pub(super) fn write(self, draft: &mut Draft) {
        for object in self.objects {
            let mut table = toml::Table::new();
            let names = object.names.iter().map(|name| plain(name)).collect();
            put(&mut table, "snis", Some(Toml::Array(names)));
            let text = |path: &std::path::Path| plain(&path.to_string_lossy());
            put(&mut table, "cert", Some(text(&object.file.cert)));
            put(&mut table, "key", Some(text(&object.file.key)));
            if !object.more.is_empty() {
                let certs = object.more.iter().map(|file| text(&file.cert)).collect();
                let keys = object.more.iter().map(|file| text(&file.key)).collect();
                put(&mut table, "certs", Some(Toml::Array(certs)));
                put(&mut table, "keys", Some(Toml::Array(keys)));
            }
            table.extend(object.settings);
            draft.push("ssls", table, object.source);
        }
    }
}
