//! The values of all settings, before their combination is checked.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use secrecy::SecretString;

use crate::config::{Access, Config, EmbeddedRunner, EncryptionKeys, Execution, Supervision, Tls};

/// The default port of the service.
const PORT: u16 = 50_051;

/// The values of all settings. A setting that is not a field of [`Config`], or only together
/// with others, has a field here.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(super) listen: SocketAddr,
    pub(super) credentials: Option<PathBuf>,
    pub(super) insecure: bool,
    pub(super) encryption_key_file: Option<PathBuf>,
    /// Only from the environment, and never shown.
    pub(super) encryption_key: Option<SecretString>,
    pub(super) tls: TlsDraft,
    pub(super) embedded_runner: bool,
    pub(super) workers: usize,
    pub(super) workspace_dir: Option<PathBuf>,
    pub(super) keep_workspaces: bool,
    pub(super) supervision: Supervision,
    /// All other settings; `tls` and `runner` are computed from the fields above.
    pub(super) config: Config,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TlsDraft {
    pub(super) certificate: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) client_ca: Option<PathBuf>,
    pub(super) require_client_certificate: bool,
}

impl Default for Draft {
    fn default() -> Self {
        let config = Config::default();
        let embedded_runner = config.runner.is_some();
        let runner = config.runner.clone().unwrap_or_default();
        Self {
            listen: (Ipv4Addr::LOCALHOST, PORT).into(),
            credentials: None,
            insecure: false,
            encryption_key_file: None,
            encryption_key: None,
            tls: TlsDraft::default(),
            embedded_runner,
            workers: runner.workers,
            workspace_dir: runner.execution.workspace_dir().map(Into::into),
            keep_workspaces: runner.execution.keeps_workspaces(),
            supervision: runner.supervision,
            config,
        }
    }
}

impl Draft {
    /// The configuration of the service. The combination of settings must have been checked.
    pub(super) fn into_config(self) -> Config {
        let runner = EmbeddedRunner {
            workers: self.workers,
            execution: Execution::Isolated {
                workspace_dir: self.workspace_dir,
                keep_workspaces: self.keep_workspaces,
            },
            supervision: self.supervision,
        };
        Config {
            access: self.credentials.map_or(self.config.access, Access::File),
            tls: self.tls.finish(),
            encryption_keys: self
                .encryption_key_file
                .map(EncryptionKeys::File)
                .or_else(|| self.encryption_key.map(EncryptionKeys::Text)),
            runner: self.embedded_runner.then_some(runner),
            ..self.config
        }
    }
}

impl TlsDraft {
    fn finish(self) -> Option<Tls> {
        Some(Tls {
            certificate: self.certificate?,
            key: self.key?,
            client_ca: self.client_ca,
            require_client_certificate: self.require_client_certificate,
        })
    }
}
