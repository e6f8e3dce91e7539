//! Callers with credentials from a credentials file.

use std::{path::PathBuf, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use pipewright::{
    auth::{CredentialsFile, Entry, Grant, Kind, NewToken, PasswordHash, Principal, Proof, Token},
    config::Access,
    proto::v1,
};
use secrecy::ExposeSecret;
use tempfile::TempDir;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::service::{Service, refusal};

struct World {
    service: Service,
    file: CredentialsFile,
    _directory: TempDir,
}

impl World {
    /// With a user `ada`.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path: PathBuf = directory.path().join("credentials.toml");
        let file = CredentialsFile::new(path.clone());
        let hash = PasswordHash::of(&"correct horse".into()).unwrap();
        let ada = entry("ada", "viewer", Proof::Password(hash));
        file.change(|draft| draft.add(&ada)).unwrap();
        let service = Service::with(|config| {
            config.access = Access::File(path);
            config.limits.max_failed_logins_per_minute = 2;
        });
        Self {
            service: service.await,
            file,
            _directory: directory,
        }
    }

    async fn list(&self, header: &str) -> Result<(), Status> {
        let mut request = Request::new(v1::ListPipelinesRequest::default());
        let metadata = request.metadata_mut();
        metadata.insert("authorization", header.parse().unwrap());
        let answer = self.service.pipelines().list_pipelines(request).await;
        answer.map(|_| ())
    }

    /// Calls until the service has reread the file.
    async fn until(&self, header: &str, code: Code) {
        let until = async {
            while self
                .list(header)
                .await
                .err()
                .map_or(Code::Ok, |it| it.code())
                != code
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, until).await.unwrap();
    }
}

fn entry(name: &str, role: &str, proof: Proof) -> Entry {
    let name = name.to_owned();
    let grant: Grant = role.parse().unwrap();
    let grants = [grant].into_iter().collect();
    Entry {
        principal: Principal { name, grants },
        proof,
    }
}

fn basic(user: &str, password: &str) -> String {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {encoded}")
}

#[tokio::test]
async fn a_token_is_valid_from_its_creation_to_its_revocation() {
    let world = World::new().await;
    let new = NewToken::random();
    let token = Token {
        id: new.id,
        hash: new.hash,
        create_time: None,
        expire_time: None,
        replaced: None,
    };
    let ci = entry("ci", "admin", Proof::Token(token));
    world.file.change(|draft| draft.add(&ci)).unwrap();
    let header = format!("Bearer {}", new.text.expose_secret());
    world.until(&header, Code::Ok).await;
    world
        .file
        .change(|draft| draft.remove(Kind::Token, "ci"))
        .unwrap();
    world.until(&header, Code::Unauthenticated).await;
}

#[tokio::test]
async fn wrong_credentials_get_the_same_error_and_are_throttled() {
    let world = World::new().await;
    world.list(&basic("ada", "correct horse")).await.unwrap();
    let wrong = world.list(&basic("ada", "guess")).await.unwrap_err();
    let unknown = world.list(&basic("bob", "guess")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert!(wrong.message().contains("Bearer") && wrong.message().contains("Basic"));
    assert_eq!(wrong.message(), unknown.message());
    assert_eq!(wrong.details(), unknown.details());

    let throttled = world.list(&basic("eve", "guess")).await.unwrap_err();
    let details = throttled.get_error_details();
    assert!(details.retry_info().unwrap().retry_delay.is_some());
    let quota = &details.quota_failure().unwrap().violations[0];
    assert!(quota.description.contains("max_failed_logins_per_minute"));
    let reason = "TOO_MANY_FAILED_LOGINS".to_owned();
    let refused = refusal(Err::<(), _>(throttled));
    assert_eq!(refused, (Code::ResourceExhausted, reason, vec![]));
    // A caller that is authenticated already is not throttled.
    world.list(&basic("ada", "correct horse")).await.unwrap();
}

#[tokio::test]
async fn a_service_does_not_start_with_an_invalid_file() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = pipewright::config::Config {
        access: Access::File("/dev/null/credentials.toml".into()),
        ..Default::default()
    };
    let ended = pipewright::server::run(config, listener, std::future::pending()).await;
    assert!(
        ended
            .unwrap_err()
            .to_string()
            .contains("/dev/null/credentials.toml")
    );
}
