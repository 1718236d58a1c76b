//! What is true of a database that is a file of ours.

use super::*;

#[tokio::test]
async fn one_database_has_one_owner() {
    let (repo, folder) = Engine::Sqlite.empty().await;
    let error = Repo::open(folder.path()).await.expect_err("in use");
    assert_eq!(error.code(), ErrorCode::AlreadyRunning);
    repo.close().await;
    drop(repo);
    Repo::open(folder.path()).await.expect("free again");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_and_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pict-rs.sqlite3");
    std::fs::write(&file, "this is a diary, not a database at all").expect("written");
    let error = Repo::open(folder.path()).await.expect_err("no database");
    assert_eq!(error.code(), ErrorCode::RepoError);
    let text = std::fs::read_to_string(&file).expect("there");
    assert!(text.starts_with("this is a diary"));
}
