//! How far a listing has come, and whether its next page continues it.
//!
//! Must not send requests.

use std::collections::HashSet;

use crate::digest::sha256_hex;
use crate::s3::list_answer::ListAnswerError;
use crate::s3::listing::{ListPage, ListRequest};
use crate::s3::retry::RetryState;

/// S3 may return a page without keys in the middle of a listing, but not many of them.
pub(super) const MAX_EMPTY_PAGES: usize = 200;

#[derive(Debug, Clone)]
pub(crate) struct ListCursor {
    pub(crate) request: ListRequest,
    /// The last key or folder of the pages so far.
    pub(crate) last_key: String,
    /// Requests the next page; `None` for the first one.
    pub(crate) token: Option<String>,
    pub(super) retry: RetryState,
    /// Digests of the tokens so far: a token may have any length.
    used_tokens: HashSet<String>,
    empty_pages: usize,
}

impl ListCursor {
    pub(crate) fn start(request: ListRequest) -> Self {
        Self {
            last_key: request.start_after.clone(),
            request,
            token: None,
            retry: RetryState::default(),
            used_tokens: HashSet::new(),
            empty_pages: 0,
        }
    }

    /// Moves behind a page. Returns whether there is another one.
    ///
    /// # Errors
    /// The page does not continue the listing, or no page ever ends it.
    pub(crate) fn advance(&mut self, page: &ListPage) -> Result<bool, ListAnswerError> {
        let first_key = page.objects.first().map(|object| &object.key);
        let last_key = page.objects.last().map(|object| &object.key);
        let first = first_key.into_iter().chain(page.folders.first()).min();
        let last = last_key.into_iter().chain(page.folders.last()).max();
        match (first, last) {
            (Some(first), Some(last)) => {
                self.empty_pages = 0;
                // Some servers repeat the folder in which the page before ended.
                let is_repeated_folder = Some(first) == page.folders.first()
                    && *first == self.last_key
                    && *last > self.last_key;
                if *first <= self.last_key && !self.last_key.is_empty() && !is_repeated_folder {
                    return Err(ListAnswerError::NotAdvancing(first.clone()));
                }
                self.last_key.clone_from(last);
            }
            _ => self.empty_pages += 1,
        }

        self.token.clone_from(&page.next_token);
        self.retry = RetryState::default();
        let Some(token) = &self.token else {
            return Ok(false);
        };
        if !self.used_tokens.insert(sha256_hex(token.as_bytes())) {
            return Err(ListAnswerError::RepeatedToken);
        }
        if self.empty_pages >= MAX_EMPTY_PAGES {
            return Err(ListAnswerError::EmptyPages(self.empty_pages));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::listing::ObjectMeta;

    fn page(keys: &[&str], folders: &[&str], token: &str) -> ListPage {
        let object = |key: &&str| ObjectMeta {
            key: (*key).to_owned(),
            last_modified: chrono::DateTime::default(),
            size: 0,
            etag: String::new(),
        };
        ListPage {
            objects: keys.iter().map(object).collect(),
            folders: folders.iter().map(|it| (*it).to_owned()).collect(),
            next_token: (!token.is_empty()).then(|| token.to_owned()),
        }
    }

    fn cursor_after(start_after: &str) -> ListCursor {
        ListCursor::start(ListRequest {
            start_after: start_after.to_owned(),
            ..ListRequest::default()
        })
    }

    #[test]
    fn each_page_comes_after_the_one_before() {
        let mut cursor = cursor_after("");
        assert_eq!(cursor.advance(&page(&["a", "c"], &["b/"], "1")), Ok(true));
        assert_eq!(cursor.last_key, "c");
        assert_eq!(cursor.advance(&page(&[], &[], "2")), Ok(true));
        assert_eq!(cursor.advance(&page(&["d"], &["e/"], "3")), Ok(true));
        // The folder again, and then more.
        assert_eq!(cursor.advance(&page(&[], &["e/", "f/"], "4")), Ok(true));
        let again = cursor.clone().advance(&page(&[], &["f/"], "5"));
        assert_eq!(again, Err(ListAnswerError::NotAdvancing("f/".into())));
        let back = cursor.clone().advance(&page(&["d", "z"], &[], "5"));
        assert_eq!(back, Err(ListAnswerError::NotAdvancing("d".into())));
        assert_eq!(cursor.advance(&page(&["g"], &[], "")), Ok(false));

        let early = cursor_after("k").advance(&page(&["k"], &[], ""));
        assert_eq!(early, Err(ListAnswerError::NotAdvancing("k".into())));
    }

    #[test]
    fn a_listing_that_never_ends_is_an_error() {
        let mut cursor = cursor_after("");
        assert_eq!(cursor.advance(&page(&["a"], &[], "1")), Ok(true));
        assert_eq!(cursor.advance(&page(&["b"], &[], "2")), Ok(true));
        let circle = cursor.clone().advance(&page(&["c"], &[], "1"));
        assert_eq!(circle, Err(ListAnswerError::RepeatedToken));

        for number in 1..MAX_EMPTY_PAGES {
            let token = format!("empty {number}");
            assert_eq!(cursor.advance(&page(&[], &[], &token)), Ok(true));
        }
        let endless = cursor.advance(&page(&[], &[], "one more"));
        assert_eq!(endless, Err(ListAnswerError::EmptyPages(MAX_EMPTY_PAGES)));
    }
}
