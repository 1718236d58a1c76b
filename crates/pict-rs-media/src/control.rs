//! Cancellation of running work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{Error, Result};

/// Shared between the working thread and the one that may cancel. The engine checks it every few
/// rows, at every frame, and at every part of a container.
#[derive(Debug, Default)]
pub struct Control {
    cancelled: Arc<AtomicBool>,
    #[cfg(test)]
    pub(crate) looks: looks::Looks,
}

impl Control {
    /// A control that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the work to stop soon with [`Error::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// The same flag, for a decoder that checks it by itself.
    pub(crate) fn token(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// # Errors
    /// [`Error::Cancelled`] once [`Control::cancel`] was called.
    pub fn check(&self) -> Result<()> {
        #[cfg(test)]
        if self.looks.is_last() {
            self.cancel();
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        Ok(())
    }
}

/// For tests: counts how often work checks its control, and cancels it at a given check.
#[cfg(test)]
pub(crate) mod looks {
    use std::sync::atomic::{AtomicU32, Ordering};

    #[derive(Debug, Default)]
    pub(crate) struct Looks {
        taken: AtomicU32,
        /// 0 for never.
        last: AtomicU32,
    }

    impl Looks {
        pub(crate) fn taken(&self) -> u32 {
            self.taken.load(Ordering::Relaxed)
        }

        pub(crate) fn cancel_at(&self, look: u32) {
            self.last.store(look, Ordering::Relaxed);
        }

        pub(super) fn is_last(&self) -> bool {
            let look = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
            look == self.last.load(Ordering::Relaxed)
        }
    }
}
