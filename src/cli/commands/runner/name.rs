//! Runners by id or by name.

use clap::{Args, builder::NonEmptyStringValueParser};
use uuid::Uuid;

use crate::{
    cli::{
        connect::client::Client,
        exit::{self, Failure},
        present::{page::Paging, resource},
    },
    proto::v1,
};

/// Selects a runner.
#[derive(Args, Debug)]
pub(crate) struct Named {
    /// Id of the runner, or its name if that is unique
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    runner: String,
}

impl Named {
    /// The runner's id; asks the service unless it is given.
    pub(super) async fn id(self, client: &Client) -> Result<String, Failure> {
        if Uuid::parse_str(&self.runner).is_ok() {
            return Ok(self.runner);
        }
        let list: v1::ListRunnersResponse =
            resource::fetch(client, &Paging::all(), super::list).await?;
        the_one(&self.runner, list.runners)
    }
}

fn the_one(name: &str, runners: Vec<v1::Runner>) -> Result<String, Failure> {
    let mut named = runners
        .into_iter()
        .filter(|runner| runner.display_name == name)
        .map(|runner| runner.id);
    let Some(first) = named.next() else {
        return Err(exit::not_found(
            "RUNNER_NOT_FOUND",
            format!("no runner is named `{name}`"),
        ));
    };
    let others: Vec<_> = named.collect();
    if others.is_empty() {
        return Ok(first);
    }
    Err(Failure::Ambiguous(format!(
        "several runners are named `{name}`; use the id of one: {first}, {}",
        others.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ids: &[&str]) -> Result<String, String> {
        let runner = |id: &&str| v1::Runner {
            id: (*id).to_owned(),
            display_name: "mac".to_owned(),
            ..Default::default()
        };
        let found = the_one("mac", ids.iter().map(runner).collect());
        found.map_err(|failure| failure.message().unwrap())
    }

    #[test]
    fn a_name_means_one_runner() {
        assert_eq!(found(&["a"]), Ok("a".to_owned()));
        insta::assert_snapshot!(found(&[]).unwrap_err());
        insta::assert_snapshot!(found(&["a", "b"]).unwrap_err());
    }
}
