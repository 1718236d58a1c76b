//! Pages of lists that the database has in an order.

/// A page of up to `limit` entries, cut from a list that was asked for with one more. Also returns where
/// the next page begins, if there is one: `place` of the last entry.
pub(crate) fn cut<T, P>(
    mut entries: Vec<T>,
    limit: u32,
    place: impl FnOnce(&T) -> P,
) -> (Vec<T>, Option<P>) {
    let has_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries.last().filter(|_| has_more).map(place);
    (entries, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_next_page_only_if_there_was_one_more() {
        let check = |entries: &[i32], limit, page: &[i32], next| {
            let found = cut(entries.to_vec(), limit, |entry| *entry);
            assert_eq!(found, (page.to_vec(), next), "{entries:?}");
        };
        check(&[], 2, &[], None);
        check(&[1, 2], 2, &[1, 2], None);
        check(&[1, 2, 3], 2, &[1, 2], Some(2));
        check(&[1], 0, &[], None);
    }
}
