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
                "Credentials file, written by `pipewright user`, `token` and `certificate` and reloaded when it changes; without it, calls need no authentication",
                "credentials.toml",
                Path("FILE"),
                |draft| &mut draft.credentials,
            ),
            Setting::new(
                "insecure",
                "Without credentials, allow listening on an address that other machines can reach; anyone who can reach it can run commands",
                "true",
                Switch,
                |draft| &mut draft.insecure,
            ),
            Setting::new(
                "reflection",
                "Serve gRPC server reflection, which describes the API to clients",
                "false",
                Switch,
                |draft| &mut draft.config.reflection,
            )
            .turned_off_to("Do not serve gRPC server reflection"),
        ],
    }
}

pub(super) fn tls() -> Section {
    Section {
        heading: "TLS",
        settings: vec![
            Setting::new(
                "tls_certificate",
                "Certificate of the service followed by its chain, as PEM; without it, connections are in plaintext",
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
                "CA certificates that client certificates are verified against, as PEM; without them, no client certificate is requested",
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

pub(super) fn encryption() -> Section {
    Section {
        heading: "Encryption at rest",
        settings: vec![Setting::new(
            "encryption_key_file",
            "Keys that encrypt secrets in a durable store, written by `pipewright key generate`; the first one encrypts, the others only decrypt; in the place of a file, PIPEWRIGHT_ENCRYPTION_KEY can have the keys themselves",
            "encryption.keys",
            Path("FILE"),
            |draft| &mut draft.encryption_key_file,
        )],
    }
}

pub(super) fn web() -> Section {
    Section {
        heading: "Browsers",
        settings: vec![
            Setting::new(
                "allowed_origins",
                "Origins of web pages that may call the service, such as https://ci.example.com, or * for any",
                "https://ci.example.com,http://localhost:3000",
                Origins,
                |draft| &mut draft.config.http.allowed_origins,
            ),
            Setting::new(
                "allowed_hosts",
                "Host names under which the service may be called, or * for any; if empty, IP addresses and \
                 localhost, and any name if the service has credentials",
                "ci.example.com,10.0.0.7",
                Hosts,
                |draft| &mut draft.config.http.allowed_hosts,
            ),
        ],
    }
}
