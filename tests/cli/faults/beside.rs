//! The client beside a crowd, which only wants its answers.

use std::pin::pin;

use pipewright::proto::v1;
use tonic::transport::Channel;

use crate::crowds::get;

/// Lets something happen to a service, and sees that all the while, and afterwards,
/// a neighbour is answered.
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
