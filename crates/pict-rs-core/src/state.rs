//! What the open server remembers between requests: caches, notes, and who waits for what. None of
//! it knows a use case.

pub(crate) mod auto;
pub(crate) mod fact_cache;
pub(crate) mod flights;
pub(crate) mod last_proof;
pub(crate) mod last_used;
pub(crate) mod notify;
pub(crate) mod proxies;
pub(crate) mod retention_clock;
pub(crate) mod store_id;
