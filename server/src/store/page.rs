//! A page of a list: its rows, and whether more follow.

/// Rows up to a limit.
#[derive(Debug)]
pub struct Page<T> {
    /// In the list's order.
    pub rows: Vec<T>,
    /// Whether the list goes on behind them.
    more: bool,
}

/// The limit to ask the database for: the row behind a page tells that there is one.
pub fn with_next(limit: i64) -> i64 {
    limit.saturating_add(1)
}

impl<T> Page<T> {
    /// The page of what a query with the limit [`with_next`] found.
    pub fn of(mut rows: Vec<T>, limit: i64) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        Self { rows, more }
    }

    /// The row that the next page begins behind; none where there is no next page.
    pub fn end(&self) -> Option<&T> {
        self.rows.last().filter(|_| self.more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_more_follow_and_nowhere_else() {
        for (found, rows, end) in
            [(vec![], 0, None), (vec![1], 1, None), (vec![1, 2], 2, None), (vec![1, 2, 3], 2, Some(2))]
        {
            let page = Page::of(found, 2);
            assert_eq!((page.rows.len(), page.end().copied()), (rows, end));
        }
        assert_eq!(with_next(2), 3);
    }
}
