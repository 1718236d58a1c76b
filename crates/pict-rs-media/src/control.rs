//! How a caller stops work that is under way.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Error, Result};

/// Shared between the thread that works and the one that may lose interest.
/// The engine looks at it every few rows and at every frame.
#[derive(Debug, Default)]
pub struct Control {
    cancelled: Arc<AtomicBool>,
}

impl Control {
    /// A control that nobody has cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop soon with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// The same word for a decoder that looks at it by itself.
    pub(crate) fn token(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// # Errors
    /// [`Error::Cancelled`] once [`Control::cancel`] was called.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}
