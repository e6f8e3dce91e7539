//! Doors for `fuzz/`.

use std::time::Duration;

use http::HeaderValue;
use prost::Message;
use prost_types::FieldMask;
use tonic::Status;
use uuid::Uuid;

use super::{
    mask::{Mask, PipelineField},
    middleware::deadline,
    page::PageRequest,
};
use crate::{
    domain::{Pipeline, PipelineSpec, Violation},
    proto::{pipeline_from_proto, v1},
};

/// Reads the paging of a list's call, as each list of things with ids does.
///
/// # Errors
/// If the page is refused.
pub fn page(
    method: &str,
    size: i32,
    token: &str,
    filters: &impl Message,
) -> Result<Page<Uuid>, Box<Status>> {
    Ok(Page(PageRequest::new(method, size, token, filters)?))
}

/// As [`page`], for things with names.
///
/// # Errors
/// If the page is refused.
pub fn page_of_names(
    method: &str,
    size: i32,
    token: &str,
    filters: &impl Message,
) -> Result<Page<String>, Box<Status>> {
    Ok(Page(PageRequest::new(method, size, token, filters)?))
}

/// A page that a call asks for.
pub struct Page<K>(PageRequest<K>);

macro_rules! page {
    ($key:ty) => {
        impl Page<$key> {
            /// The last item of the page before.
            pub fn after(&self) -> Option<$key> {
                self.0.after.clone()
            }

            /// Cuts a list to the page, and gives the token of the page after it.
            pub fn cut<T: Message>(
                &self,
                items: impl IntoIterator<Item = ($key, T)>,
            ) -> (Vec<T>, String) {
                self.0.cut(items, T::encoded_len)
            }
        }
    };
}

page!(Uuid);
page!(String);

/// The value of a `grpc-timeout` header; none if it is malformed.
pub fn timeout(value: &HeaderValue) -> Option<Duration> {
    deadline::timeout(value)
}

/// What an update with a mask of these paths makes of a pipeline, as the service
/// does it.
///
/// # Errors
/// If the mask, the message or what becomes of the pipeline is refused.
pub fn updated(
    paths: Vec<String>,
    mut pipeline: v1::Pipeline,
    current: &Pipeline,
) -> Result<PipelineSpec, Vec<Violation>> {
    let refused = |status: Status| vec![Violation::new("update_mask", status.message())];
    let mask = Mask::<PipelineField>::new(Some(FieldMask { paths }), &pipeline).map_err(refused)?;
    mask.leave_only_its_fields(&mut pipeline);
    mask.apply(&pipeline_from_proto(pipeline)?, current)
}
