//! Lists, page by page.

use clap::Args;

use crate::cli::present::out;

/// Which part of a list to show.
#[derive(Args, Debug)]
pub(crate) struct Paging {
    /// Maximum number of items to show
    #[arg(long, default_value_t = 50, conflicts_with = "all")]
    limit: u32,
    /// Show the whole list
    #[arg(long)]
    all: bool,
    /// Maximum number of items per request [default: chosen by the service]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    page_size: u32,
    /// Token of the page to start with, as printed below an earlier list
    #[arg(long, default_value = "", hide_default_value = true)]
    page_token: String,
}

/// The next page to request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Maximum number of items; 0: chosen by the service.
    pub(crate) size: i32,
    pub(crate) token: String,
}

impl Paging {
    /// The whole list.
    pub(crate) fn all() -> Self {
        Self {
            limit: 0,
            all: true,
            page_size: 0,
            page_token: String::new(),
        }
    }

    /// The first page.
    pub(crate) fn first(&self) -> Option<Page> {
        self.page(0, self.page_token.clone())
    }

    /// The page after one that ended with `token`, after `shown` items; none if these are
    /// enough or the list has ended.
    pub(crate) fn after(&self, shown: usize, token: &str) -> Option<Page> {
        match token {
            "" => None,
            token => self.page(shown, token.to_owned()),
        }
    }

    /// Never requests more items than are shown, so that the last token continues exactly
    /// where the list was cut.
    fn page(&self, shown: usize, token: String) -> Option<Page> {
        let size = match (self.all, self.page_size) {
            (true, size) => size,
            (false, size) => match self.limit.saturating_sub(u32::try_from(shown).ok()?) {
                0 => return None,
                left if size == 0 => left,
                left => left.min(size),
            },
        };
        let size = i32::try_from(size).unwrap_or(i32::MAX);
        Some(Page { size, token })
    }
}

/// Prints how to see the rest.
pub(crate) fn tell_of_rest(next_page_token: &str) {
    if !next_page_token.is_empty() {
        out::notice(&format!(
            "there are more; --all shows them, or --page-token {next_page_token} continues"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(limit: u32, all: bool, page_size: u32) -> Paging {
        Paging {
            limit,
            all,
            page_size,
            page_token: String::new(),
        }
    }

    fn page(size: i32, token: &str) -> Option<Page> {
        let token = token.to_owned();
        Some(Page { size, token })
    }

    #[test]
    fn a_limit_is_kept_over_pages() {
        let paging = paging(50, false, 20);
        assert_eq!(paging.first(), page(20, ""));
        assert_eq!(paging.after(40, "t"), page(10, "t"));
        assert_eq!(paging.after(50, "t"), None);
        assert_eq!(paging.after(30, ""), None);
    }

    #[test]
    fn all_has_no_limit() {
        let paging = paging(50, true, 0);
        assert_eq!(paging.first(), page(0, ""));
        assert_eq!(paging.after(5_000, "t"), page(0, "t"));
    }
}
