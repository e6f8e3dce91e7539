//! A bare tonic server that streams a file in chunks of the same size as the service's. Each
//! chunk is read when the previous one was sent.

use std::path::PathBuf;

use bytes::BytesMut;
use futures_util::{FutureExt, future::BoxFuture, stream, stream::BoxStream};
use pipewright::proto::v1::{
    LogChunk, ReadStageLogRequest, ReadStageLogResponse, read_stage_log_response::Payload,
};
use tokio::{fs::File, io::AsyncReadExt};
use tonic::{Request, Response, Status, server::ServerStreamingService};

/// The request's job id is the path of the file.
pub(crate) const FILE: &str = "/bench.Bare/File";

const CHUNK: usize = 64 * 1024;

pub(crate) struct Stream;

impl ServerStreamingService<ReadStageLogRequest> for Stream {
    type Response = ReadStageLogResponse;
    type ResponseStream = BoxStream<'static, Result<ReadStageLogResponse, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<ReadStageLogRequest>) -> Self::Future {
        let path = PathBuf::from(request.into_inner().job_id);
        async move {
            let file = File::open(path).await?;
            let chunks: Self::ResponseStream = Box::pin(stream::try_unfold((file, 0), next));
            Ok(Response::new(chunks))
        }
        .boxed()
    }
}

async fn next(
    (mut file, offset): (File, i64),
) -> Result<Option<(ReadStageLogResponse, (File, i64))>, Status> {
    let mut data = BytesMut::with_capacity(CHUNK);
    let read = file.read_buf(&mut data).await?;
    let next_offset = offset + read as i64;
    let chunk = LogChunk {
        offset,
        data: data.freeze(),
    };
    let message = ReadStageLogResponse {
        next_offset,
        payload: Some(Payload::Chunk(chunk)),
        attempt: 1,
    };
    Ok((read > 0).then_some((message, (file, next_offset))))
}
