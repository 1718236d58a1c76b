//! `GET /`: what this server is, and where its sources are.

use actix_web::HttpResponse;
use serde_json::json;

use crate::source;

/// Answers without a look at database or files.
pub async fn get() -> HttpResponse {
    HttpResponse::Ok().json(json!({
        "msg": "ok",
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "license": env!("CARGO_PKG_LICENSE"),
        "source": source::URL,
    }))
}
