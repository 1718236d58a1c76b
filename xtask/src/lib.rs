//! Code that chores share with tests: the differential driver, which must be able to fail.

pub mod conform;
