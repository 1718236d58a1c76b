//! Is the server able to do its work?

use actix_web::{HttpResponse, web};
use pict_rs_core::Context;
use pict_rs_core::service::find;

use super::error::Result;

/// 200 when the database answers and a file can be written to the store.
pub async fn check(ctx: web::Data<Context>) -> Result<HttpResponse> {
    find::health(&ctx).await?;
    Ok(HttpResponse::Ok().finish())
}
