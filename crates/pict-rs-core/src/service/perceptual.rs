//! Lists of PDQ hashes: what looks like an entry is refused, or put into quarantine.

use std::collections::HashSet;
use std::sync::Arc;

use pict_rs_media::{PdqHash, Preview, Turned};

use crate::clock::now;
use crate::config::{MAX_NAME, OnMatch};
use crate::repo::audit::Cause;
use crate::repo::{ListedPdq, PdqMatch, Unlisted};
use crate::service::{paging, remove};
use crate::state::pdq::ListedHashes;
use crate::task::blocking;
use crate::{Context, Error, ErrorCode, Result};

/// Entries in a page by default.
const DEFAULT: u32 = 20;
/// Entries in a page at most.
const MOST: u32 = 1000;
/// Entries read at a time.
const BATCH: u32 = 10_000;
/// Bytes of a list at most: a million hashes without reasons.
pub const MAX_LIST: usize = 65 << 20;
/// Characters of a reason at most.
const MAX_REASON: usize = 1000;

/// The entry that a new file looks like, whichever way it is turned. Files with little to recognise
/// match nothing.
///
/// # Errors
/// When the database fails.
pub(crate) async fn listed(ctx: &Context, preview: &Preview) -> Result<Option<PdqMatch>> {
    match &preview.pdq {
        Some(pdq) => nearest(ctx, pdq.turned(), pdq.quality()).await,
        None => Ok(None),
    }
}

/// As [`listed`], for further frames of an animation or clip, each with its quality.
///
/// # Errors
/// When the database fails.
pub(crate) async fn listed_frame(
    ctx: &Context,
    frames: &[(Turned, u8)],
) -> Result<Option<PdqMatch>> {
    for (turned, quality) in frames {
        if let Some(listed) = nearest(ctx, turned, *quality).await? {
            return Ok(Some(listed));
        }
    }
    Ok(None)
}

/// Whether any list has an entry.
///
/// # Errors
/// When the database fails.
pub(crate) async fn has_lists(ctx: &Context) -> Result<bool> {
    Ok(current(ctx).await?.len() > 0)
}

/// As [`listed`], for hashes that are known.
///
/// # Errors
/// When the database fails.
pub(crate) async fn nearest(
    ctx: &Context,
    wanted: &Turned,
    quality: u8,
) -> Result<Option<PdqMatch>> {
    let settings = &ctx.config.media.pdq;
    if quality < settings.quality {
        return Ok(None);
    }
    let lists = current(ctx).await?;
    if lists.len() == 0 {
        return Ok(None);
    }
    let (wanted, distance) = (*wanted, settings.distance);
    let is_refused = settings.on_match == OnMatch::Refuse;
    let found = blocking(move || {
        let found = lists.nearest(&wanted, distance);
        let found = found.map(|(list, pdq, distance)| PdqMatch {
            list: list.to_owned(),
            pdq,
            distance,
            is_refused,
        });
        Ok::<_, Error>(found)
    })
    .await?;
    if let Some(listed) = &found {
        tracing::info!(
            list = listed.list,
            pdq = %listed.pdq,
            distance = listed.distance,
            "a picture looks like a listed one"
        );
    }
    Ok(found)
}

/// The lists, read again if they have changed.
async fn current(ctx: &Context) -> Result<Arc<ListedHashes>> {
    let version = ctx.repo.version_of_pdq_lists().await?;
    let last = ctx.pdq_lists.last();
    if last.version == version {
        return Ok(last);
    }
    let _reading = ctx.pdq_lists.reading.lock().await;
    let last = ctx.pdq_lists.last();
    if last.version == version {
        return Ok(last);
    }
    let mut lists = ListedHashes::default();
    let mut after = None;
    loop {
        let entries = ctx.repo.listed_pdq(after.as_ref(), BATCH).await?;
        let is_last = entries.len() < BATCH as usize;
        after = entries.last().map(|last| (last.list.clone(), last.pdq));
        for entry in entries {
            lists.push(entry.list, entry.pdq);
        }
        if is_last {
            break;
        }
    }
    // What changed meanwhile has another version, and is read by the next upload.
    lists.version = version;
    let lists = Arc::new(lists);
    ctx.pdq_lists.set(Arc::clone(&lists));
    Ok(lists)
}

/// The names of the lists, with the numbers of their entries.
///
/// # Errors
/// When the database fails.
pub async fn lists(ctx: &Context) -> Result<Vec<(String, usize)>> {
    let lists = current(ctx).await?;
    let lists = lists.lists().map(|(list, count)| (list.to_owned(), count));
    Ok(lists.collect())
}

/// A page of the entries of one list or of all, sorted by list and hash, after an entry. Also returns
/// the entry that the next page comes after, if there are more.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] when `after` is in another list, and when the database fails.
pub async fn entries(
    ctx: &Context,
    list: Option<&str>,
    after: Option<&(String, PdqHash)>,
    limit: Option<u32>,
) -> Result<(Vec<ListedPdq>, Option<(String, PdqHash)>)> {
    let limit = limit.unwrap_or(DEFAULT).min(MOST);
    let entries = match (list, after) {
        (None, _) => ctx.repo.listed_pdq(after, limit + 1).await?,
        (Some(list), Some((other, _))) if list != other => {
            let message = format!("after names an entry of the list '{other}', not of '{list}'");
            return Err(Error::user(ErrorCode::InvalidQuery, message));
        }
        (Some(list), _) => {
            let after = after.map(|(_, hash)| hash);
            ctx.repo.listed_pdq_in(list, after, limit + 1).await?
        }
    };
    Ok(paging::cut(entries, limit, |entry| {
        (entry.list.clone(), entry.pdq)
    }))
}

/// All hashes of a list, one a line, as others can import them and subscribe to them. Reasons, which
/// may tell more than others should know, are left out.
///
/// # Errors
/// [`ErrorCode::HashNotFound`] when there is no such list, and when the database fails.
pub async fn plain(ctx: &Context, list: &str) -> Result<String> {
    let lists = current(ctx).await?;
    let hashes = lists.of(list);
    if hashes.is_empty() {
        let message = format!("There is no list '{list}'");
        return Err(Error::user(ErrorCode::HashNotFound, message));
    }
    Ok(hashes.iter().map(|hash| format!("{hash}\n")).collect())
}

/// What came of adding hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// Hashes that are new in the list.
    pub added: u64,
    /// Hashes in the text, each counted once.
    pub total: u64,
}

/// Adds the hashes of a text to a list: one a line, or CSV with a column named `hash`, `pdq`, `value`
/// or `indicator`. A column `reason`, `description` or `notes` is kept with each.
///
/// # Errors
/// [`ErrorCode::InvalidQuery`] for the name and for a list that is followed, [`ErrorCode::InvalidList`]
/// for a text with anything else, of which nothing is added; [`ErrorCode::ReadOnly`].
pub async fn import(ctx: &Context, list: &str, text: &[u8], cause: &Cause) -> Result<Import> {
    remove::writable(ctx)?;
    check_name(list)?;
    let followed = ctx.config.media.pdq.subscriptions()?;
    if followed.iter().any(|one| one.url.as_str() == list) {
        // Its next change would remove them.
        let message = format!(
            "The list '{list}' is one of media.pdq.subscriptions, and has what its publisher signs"
        );
        return Err(Error::user(ErrorCode::InvalidQuery, message));
    }
    let hashes = parse(text)?;
    let added = ctx.repo.list_pdq(list, &hashes, cause, now()).await?;
    Ok(Import {
        added,
        total: hashes.len() as u64,
    })
}

/// Removes entries, and returns how many there were.
///
/// # Errors
/// [`ErrorCode::HashNotFound`] when there is none, [`ErrorCode::ReadOnly`].
pub async fn unlist(ctx: &Context, what: &Unlisted, cause: &Cause) -> Result<u64> {
    remove::writable(ctx)?;
    match ctx.repo.unlist_pdq(what, cause, now()).await? {
        0 => Err(Error::user(
            ErrorCode::HashNotFound,
            match what {
                Unlisted::Hash(hash) => format!("No list has {hash}"),
                Unlisted::List(list) => format!("There is no list '{list}'"),
            },
        )),
        removed => Ok(removed),
    }
}

fn check_name(list: &str) -> Result<()> {
    if list.chars().any(char::is_control) {
        let message = "The name of a list has no control characters";
        return Err(Error::user(ErrorCode::InvalidQuery, message));
    }
    let length = list.chars().count();
    if length > MAX_NAME {
        let message = format!("The name of a list has at most {MAX_NAME} characters, not {length}");
        let error = Error::user(ErrorCode::InvalidQuery, message);
        return Err(error.limit(MAX_NAME).found(length));
    }
    Ok(())
}

/// Names of columns that lists are exchanged with.
const HASH_COLUMNS: [&str; 5] = ["hash", "pdq", "pdq_hash", "value", "indicator"];
const REASON_COLUMNS: [&str; 4] = ["reason", "description", "notes", "comment"];

type Hashes = Vec<(PdqHash, Option<String>)>;

/// Each hash once, with its first reason.
///
/// # Errors
/// [`ErrorCode::InvalidList`].
pub(crate) fn parse(text: &[u8]) -> Result<Hashes> {
    // A comment needs the end of its line.
    let text = [text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), b"\n"].concat();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .trim(csv::Trim::All)
        .from_reader(text.as_slice());
    let (mut columns, mut seen, mut hashes) = (None, HashSet::new(), Vec::new());
    for record in reader.records() {
        let record = record.map_err(|error| bad(&error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) {
            continue;
        }
        if columns.is_none() {
            columns = columns_of(&record);
            if columns.is_some() {
                continue;
            }
        }
        let columns = *columns.get_or_insert((0, Some(1)));
        hashes.extend(entry(&record, columns, line, &mut seen)?);
    }
    Ok(hashes)
}

/// The columns of hashes and reasons, if this is a head.
fn columns_of(record: &csv::StringRecord) -> Option<(usize, Option<usize>)> {
    let position = |names: &[&str]| {
        let is_one = |field: &str| names.contains(&field.to_ascii_lowercase().as_str());
        record.iter().position(is_one)
    };
    Some((position(&HASH_COLUMNS)?, position(&REASON_COLUMNS)))
}

fn entry(
    record: &csv::StringRecord,
    (hash_column, reason_column): (usize, Option<usize>),
    line: u64,
    seen: &mut HashSet<PdqHash>,
) -> Result<Option<(PdqHash, Option<String>)>> {
    let text = record.get(hash_column).unwrap_or_default();
    let hash: PdqHash = text.parse().map_err(|error| {
        let shown: String = text.chars().take(80).collect();
        bad(&format!("line {line} has '{shown}': {error}"))
    })?;
    let reason = reason_column.and_then(|column| record.get(column));
    let reason = reason.filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| reason.chars().take(MAX_REASON).collect());
    Ok(seen.insert(hash).then_some((hash, reason)))
}

fn bad(why: &str) -> Error {
    Error::user(
        ErrorCode::InvalidList,
        format!("This is not a list of PDQ hashes, and nothing was added: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";
    const B: &str = "30a10efd71cc3d429013d48d0ffffc52e34e0e17ada952a9d29685211ea9e5af";

    fn parsed(text: &str) -> Hashes {
        parse(text.as_bytes()).expect("a list")
    }

    fn hash(text: &str) -> PdqHash {
        text.parse().expect("a hash")
    }

    #[test]
    fn lists_of_several_forms_are_read() {
        let plain = vec![(hash(A), None), (hash(B), None)];
        assert_eq!(parsed(&format!("{A}\n{B}\n")), plain);
        assert_eq!(
            parsed(&format!("\u{feff}# ours\r\n{A}\r\n\r\n {B} \r\n{A}")),
            plain
        );
        assert_eq!(
            parsed(&format!("id,hash,quality\n1,{A},100\n2,{B},90\n")),
            plain
        );
        let told = vec![(hash(A), Some("spam, again".to_owned())), (hash(B), None)];
        assert_eq!(parsed(&format!("{A},\"spam, again\"\n{B},\n")), told);
        assert_eq!(
            parsed(&format!("Description,PDQ\n\"spam, again\",{A}\n,{B}\n")),
            told
        );
        assert_eq!(parsed(""), vec![]);
        assert_eq!(parsed("hash\n"), vec![]);
        assert_eq!(parsed("# nothing"), vec![]);
        assert_eq!(parsed(&format!(" \n# a\n{A}\n \n{B}\n# end")), plain);
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        for (text, expected) in [
            (format!("{A}\nf8f8\n"), "line 2 has 'f8f8'"),
            (format!("value\n{A}\n{}\n", &B[1..]), "line 3"),
            ("<html>".to_owned(), "line 1 has '<html>'"),
            ("a,b\n1,2\n".to_owned(), "line 1 has 'a'"),
        ] {
            let error = parse(text.as_bytes()).expect_err("no list");
            assert_eq!(error.code(), ErrorCode::InvalidList);
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(parse(b"\xff\xfe\n").is_err());
    }
}
