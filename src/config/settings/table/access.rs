//! Where the service listens, and to whom.

use super::super::{
    Section, Setting,
    form::{Address, Hosts, Origins, Path, Switch},
};

pub(super) fn listening() -> Section {
    Section {
        heading: "Listening",
        settings: vec![
            Setting::new(
                "listen",
                "Address to listen on",
                "127.0.0.1:7777",
                Address,
                |draft| &mut draft.listen,
            ),
            Setting::new(
                "credentials",
                "Who may call: the file that `pipewright user`, `token` and `certificate` write, read again when it changes; anybody when unset",
                "credentials.toml",
                Path("FILE"),
                |draft| &mut draft.credentials,
            ),
            Setting::new(
                "insecure",
                "Without credentials, allow an address that others can reach; whoever reaches it can run commands",
                "true",
                Switch,
                |draft| &mut draft.insecure,
            ),
            Setting::new(
                "reflection",
                "Tell callers by server reflection what the API has",
                "false",
                Switch,
                |draft| &mut draft.config.reflection,
            )
            .turned_off_to("Do not tell callers by server reflection what the API has"),
        ],
    }
}

pub(super) fn tls() -> Section {
    Section {
        heading: "TLS",
        settings: vec![
            Setting::new(
                "tls_certificate",
                "Certificate of the service, its chain after it, as PEM; in the clear when unset",
                "service.crt",
                Path("FILE"),
                |draft| &mut draft.tls.certificate,
            )
            .needs("tls_key"),
            Setting::new(
                "tls_key",
                "The certificate's private key, as PEM",
                "service.key",
                Path("FILE"),
                |draft| &mut draft.tls.key,
            )
            .needs("tls_certificate"),
            Setting::new(
                "tls_client_ca",
                "Authorities whose client certificates are accepted, as PEM; none are asked for when unset",
                "clients.crt",
                Path("FILE"),
                |draft| &mut draft.tls.client_ca,
            )
            .needs("tls_certificate"),
            Setting::new(
                "tls_require_client_certificate",
                "Refuse connections without a client certificate",
                "true",
                Switch,
                |draft| &mut draft.tls.require_client_certificate,
            )
            .needs("tls_client_ca"),
        ],
    }
}

pub(super) fn web() -> Section {
    Section {
        heading: "Browsers",
        settings: vec![
            Setting::new(
                "allowed_origins",
                "Origins whose pages may call, as https://ci.example.com, or * for any",
                "https://ci.example.com,http://localhost:3000",
                Origins,
                |draft| &mut draft.config.http.allowed_origins,
            ),
            Setting::new(
                "allowed_hosts",
                "Names under which the service may be called, or * for any; when empty, IP addresses and \
                 localhost, and any name with credentials",
                "ci.example.com,10.0.0.7",
                Hosts,
                |draft| &mut draft.config.http.allowed_hosts,
            ),
        ],
    }
}
