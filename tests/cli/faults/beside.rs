//! A client beside a crowd, which only needs its own responses.

use std::pin::pin;

use pipewright::proto::v1;
use tonic::transport::Channel;

use crate::crowds::get;

/// Runs a scenario against a service, and checks that a neighbour gets responses
/// all the while and afterwards.
pub(crate) async fn beside<T>(
    neighbour: &Channel,
    job: &v1::Job,
    happens: impl Future<Output = T>,
) -> T {
    let mut happens = pin!(happens);
    loop {
        let call = async {
            get(neighbour, job).await.unwrap();
        };
        tokio::select! {
            happened = &mut happens => {
                get(neighbour, job).await.unwrap();
                return happened;
            }
            () = call => {}
        }
    }
}
