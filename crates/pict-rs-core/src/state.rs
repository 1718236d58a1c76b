//! State that the open server keeps between requests: caches, records, and waiting tasks. It does
//! not depend on any use case.

pub(crate) mod arrivals;
pub(crate) mod auto;
pub(crate) mod disk_budget;
pub(crate) mod fact_cache;
pub(crate) mod failures;
pub(crate) mod flights;
pub(crate) mod last_proof;
pub(crate) mod last_used;
pub(crate) mod notify;
pub(crate) mod pace;
pub(crate) mod pdq;
pub(crate) mod pending_variants;
pub(crate) mod proxies;
pub(crate) mod retention_clock;
pub(crate) mod store_id;
pub(crate) mod store_move;
