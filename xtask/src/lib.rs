//! Code that chores share with tests: the differential driver, which must be able to fail, and the
//! table of static targets.

pub mod conform;
pub mod targets;
