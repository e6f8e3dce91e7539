//! Entry points for `fuzz/`.

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

/// Parses the paging fields of a list call whose items have ids.
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

/// As [`page`], for items with names.
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

pub struct Page<K>(PageRequest<K>);

macro_rules! page {
    ($key:ty) => {
        impl Page<$key> {
            /// The key of the previous page's last item.
            pub fn after(&self) -> Option<$key> {
                self.0.after.clone()
            }

            /// Cuts a list to one page. Also returns the token of the next page.
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

/// Applies an update with a mask of these paths to a pipeline, as the service does.
///
/// # Errors
/// If the mask, the message or the resulting pipeline is invalid.
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
