//! A copy of the whole database as of one moment, while it is in use.

use std::path::Path;

use super::Repo;
use crate::Result;

impl Repo {
    /// Writes a copy to `file`, which must not exist. Reads and writes go on meanwhile. Not
    /// flushed.
    ///
    /// # Errors
    /// [`crate::ErrorCode::RepoError`]; what was written may be left then.
    pub async fn copy_to(&self, file: &Path) -> Result<()> {
        self.read.copy_to(file).await
    }
}
