//! What an error of the database means to callers: a fault, an outage that passes, a full disk, or
//! two transactions that cannot both have their way.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use uuid::Uuid;

use crate::{Error, ErrorCode, Result};

/// How long a request waits for a connection to SQLite.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

type BoxedError = Box<dyn StdError + Send + Sync>;

/// How often a transaction is run in all when others or a lost connection end it.
const ATTEMPTS: u32 = 5;

/// After this time a server that has lost its client has committed what it was told to commit, or
/// has ended the transaction: longer than [`super::postgres::IDLE_TIMEOUT`].
pub(crate) const UNCERTAIN_FOR: Duration = Duration::from_secs(15);

/// The error that callers get.
pub(super) fn repo_error(error: impl Into<BoxedError>) -> Error {
    let error = error.into();
    let Some(found) = error.downcast_ref::<sqlx::Error>() else {
        return Error::internal(ErrorCode::RepoError, "the database failed", error);
    };
    if matches!(found, sqlx::Error::PoolTimedOut) {
        // The disk hangs or there are too many requests. That passes, so clients may retry.
        tracing::warn!("the database did not get to a request in time");
        return Error::user(
            ErrorCode::TooBusy,
            format!(
                "The database has too much to do; a request waits for it for {} seconds at most",
                ACQUIRE_TIMEOUT.as_secs()
            ),
        );
    }
    if is_disk_full(found) {
        let message = "the database has no room to write to";
        return Error::internal(ErrorCode::InsufficientStorage, message, error);
    }
    if is_conflict(found) {
        let message = "the database ended a transaction because of others";
        return Error::internal(ErrorCode::RepoUnavailable, message, error);
    }
    if is_lost(found) || is_refused(found) {
        let message = "the database cannot be reached at the moment";
        return Error::internal(ErrorCode::RepoUnavailable, message, error);
    }
    Error::internal(ErrorCode::RepoError, "the database failed", error)
}

/// The error of a commit. If its answer was lost or late, whether it took effect is unknown.
pub(super) fn commit_error(error: sqlx::Error) -> Error {
    if !is_lost(&error) && !is_late(&error) {
        return repo_error(error);
    }
    Error::internal(
        ErrorCode::RepoUnavailable,
        "the connection to the database was lost during a commit",
        Uncertain(error),
    )
}

/// Whether what was asked for may have been committed all the same. The database can tell for
/// certain after [`UNCERTAIN_FOR`].
pub(crate) fn is_uncertain(error: &Error) -> bool {
    let Error::Internal {
        source: Some(source),
        ..
    } = error
    else {
        return false;
    };
    source.downcast_ref::<Uncertain>().is_some()
}

/// Keeps such a transaction from being run again.
#[derive(Debug, thiserror::Error)]
#[error("the commit may have taken effect: {0}")]
struct Uncertain(#[source] sqlx::Error);

/// Runs a transaction, and runs it again when it certainly had no effect: when the engine ended it
/// because of others, or its connection was lost before the commit.
pub(super) async fn again<T, F>(work: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for attempt in 1..ATTEMPTS {
        match work().await {
            Err(error) if had_no_effect(&error) => {
                tracing::debug!(%error, "a transaction is run again");
            }
            done => return done,
        }
        tokio::time::sleep(pause(attempt)).await;
    }
    work().await
}

/// Longer after each attempt, and by chance, so that two transactions do not collide in step.
fn pause(attempt: u32) -> Duration {
    let chance = Uuid::new_v4().as_fields().0 % (8 << attempt);
    Duration::from_millis(u64::from(chance))
}

fn had_no_effect(error: &Error) -> bool {
    let Error::Internal {
        code: ErrorCode::RepoUnavailable,
        source: Some(source),
        ..
    } = error
    else {
        return false;
    };
    source
        .downcast_ref()
        .is_some_and(|error| is_conflict(error) || is_lost(error))
}

/// Whether the connection has ended, as when the server of the database is restarted.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        // Not a timeout: another attempt would take as long.
        sqlx::Error::Io(error) => error.kind() != io::ErrorKind::TimedOut,
        sqlx::Error::Database(_) => {
            let code = code(error);
            // Class 08: connection exceptions; the others: shutdown, crash, still starting.
            code.starts_with("08") || ["57P01", "57P02", "57P03"].contains(&code.as_str())
        }
        _ => false,
    }
}

/// Whether PostgreSQL refuses for a reason that passes or that its administrator removes: another
/// password, a right or a database that is missing, too many connections, not enough memory, a
/// statement or a wait for a lock that took too long, a server that became a standby, a certificate
/// that is not trusted, or a time out of our own.
fn is_refused(error: &sqlx::Error) -> bool {
    const CODES: [&str; 13] = [
        "25006", "25P03", "28000", "28P01", "3D000", "42501", "53000", "53200", "53300", "53400",
        "55P03", "57014", "57P05",
    ];
    is_late(error) || matches!(error, sqlx::Error::Tls(_)) || CODES.contains(&code(error).as_str())
}

/// Whether we waited for an answer for too long.
fn is_late(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

/// Whether PostgreSQL ended a transaction because of others: serialization failure, deadlock.
fn is_conflict(error: &sqlx::Error) -> bool {
    ["40001", "40P01"].contains(&code(error).as_str())
}

/// Whether SQLite reports a full disk, for its own files or for the shared memory of its
/// connections, which is also a file; or PostgreSQL for its files.
pub(super) fn is_disk_full(error: &sqlx::Error) -> bool {
    ["13", "4874", "53100"].contains(&code(error).as_str())
}

/// The code of an error of the engine, or nothing. Codes of SQLite are numbers, those of PostgreSQL
/// have five letters or digits.
pub(super) fn code(error: &sqlx::Error) -> String {
    let code = error.as_database_error();
    let code = code.and_then(sqlx::error::DatabaseError::code);
    code.map(|code| code.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn a_request_that_waited_in_vain_may_be_sent_again() {
        let error = repo_error(sqlx::Error::PoolTimedOut);
        assert_eq!(error.code(), ErrorCode::TooBusy);
        assert!(
            error.is_users(),
            "no fault, and the message is for the client"
        );
        let error = repo_error(sqlx::Error::PoolClosed);
        assert_eq!(error.code(), ErrorCode::RepoError);
    }

    fn lost() -> sqlx::Error {
        sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into())
    }

    #[tokio::test]
    async fn a_transaction_is_run_again_unless_it_may_have_been_committed() {
        let check = async |error: fn() -> Error, expected: u32| {
            let runs = AtomicU32::new(0);
            let failed = again(|| async {
                runs.fetch_add(1, Ordering::Relaxed);
                Err::<(), _>(error())
            });
            assert_eq!(
                failed.await.expect_err("failed").code(),
                ErrorCode::RepoUnavailable
            );
            assert_eq!(runs.load(Ordering::Relaxed), expected);
        };
        check(|| repo_error(lost()), ATTEMPTS).await;
        check(|| commit_error(lost()), 1).await;
        let late = || repo_error(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        check(late, 1).await;
        let late = || commit_error(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        check(late, 1).await;
    }

    #[test]
    fn only_a_commit_without_an_answer_is_uncertain() {
        let late = || sqlx::Error::Io(io::ErrorKind::TimedOut.into());
        assert!(is_uncertain(&commit_error(lost())) && is_uncertain(&commit_error(late())));
        assert!(!is_uncertain(&repo_error(lost())) && !is_uncertain(&repo_error(late())));
        assert!(!is_uncertain(&commit_error(sqlx::Error::PoolClosed)));
    }
}
