//! Which pages of other origins may use the API (CORS), by `server.cors_origins`.

use actix_cors::Cors;
use actix_web::middleware::Condition;
use pict_rs_core::config::ServerConfig;

/// How long a browser may cache the answer to a preflight request, in seconds.
const MAX_AGE: usize = 3600;

/// Answers preflight requests and adds CORS headers, if any origin is allowed.
pub fn layer(config: &ServerConfig) -> Condition<Cors> {
    let origins = &config.cors_origins.0;
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .expose_any_header()
        .block_on_origin_mismatch(false)
        .max_age(MAX_AGE);
    let cors = if origins.iter().any(|origin| origin == "*") {
        cors.allow_any_origin().send_wildcard()
    } else {
        origins
            .iter()
            .fold(cors, |cors, origin| cors.allowed_origin(origin))
    };
    Condition::new(!origins.is_empty(), cors)
}
