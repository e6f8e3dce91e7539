//! Requests that never arrive completely.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use pipewright::proto::v1;
use tonic::Code;

use crate::{
    raw::{Body, call, framed},
    world::{World, end, list, refusal, waiting_job, watch},
};

const SHORT: Duration = Duration::from_secs(1);

/// A body that begins with some bytes and never ends. If `dribbles`, a further byte
/// follows from time to time.
fn endless(begin: Vec<u8>, dribbles: bool) -> Body {
    let pieces = stream::unfold(0, move |count| async move {
        if dribbles {
            tokio::time::sleep(SHORT / 10).await;
        } else {
            std::future::pending::<()>().await;
        }
        Some((Bytes::from_static(&[0]), count + 1))
    });
    let pieces = stream::iter([Bytes::from(begin)]).chain(pieces);
    StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync()
}

#[tokio::test]
async fn the_wait_for_a_request_is_limited() {
    let world = World::limited(|limits| limits.message_timeout = SHORT).await;
    let channel = world.channel();
    let job = waiting_job(&channel).await;
    let open = watch(&channel, &job).await;
    let get = framed(&v1::GetJobRequest {
        job_id: job.id.clone(),
    });
    let unary = "/pipewright.v1.JobService/GetJob";
    let streaming = "/pipewright.v1.JobService/WatchJob";
    for (path, begin, dribbles) in [
        (unary, vec![], false),
        (unary, vec![0, 0, 0, 0, 200], true),
        // A whole message, but not its end.
        (unary, get, false),
        (streaming, vec![0, 0], false),
    ] {
        let (_, status) = call(world.address, path, &[], endless(begin, dribbles)).await;
        let expected = (
            Code::DeadlineExceeded,
            "REQUEST_TOO_SLOW".to_owned(),
            "message_timeout".to_owned(),
        );
        assert_eq!(refusal::<()>(Err(status)), expected);
    }
    list(&channel).await.unwrap();
    // A call whose request has arrived continues.
    crate::world::cancel(&channel, &job).await;
    end(open).await.unwrap();
}
