//! A consistent copy of the whole database, made while it is in use.

use std::path::Path;

use super::Repo;
use crate::Result;

impl Repo {
    /// Writes a copy to `file`, which must not exist. Reads and writes continue meanwhile. The copy
    /// is not flushed.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`]; a partial copy may be left.
    pub async fn copy_to(&self, file: &Path) -> Result<()> {
        self.read.copy_to(file).await
    }
}
