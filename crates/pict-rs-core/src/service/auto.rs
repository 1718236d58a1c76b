//! `process.auto`: the best format for a client, answered in time. If that format is slow to make,
//! the answer is another format, and the best one is ready for the next request.

mod choice;

use std::sync::Arc;
use std::time::{Duration, Instant};

use pict_rs_media::limits::Bounds;
use pict_rs_media::{Format, OutputFormat};
use tracing::Instrument as _;

use crate::accept::Accept;
use crate::query::ProcessRequest;
use crate::repo::Original;
use crate::service::variant::{self, Found};
use crate::service::{background, convert, find};
use crate::state::auto::ContentVariant;
use crate::{Alias, Context, Result};
use choice::{PictureTraits, Weights, ranked, rivals};

/// A variant in the chosen format.
#[derive(Debug)]
pub struct Answer {
    /// The content and the variant.
    pub found: Found,
    /// Whether a better one is being made.
    pub is_fallback: bool,
}

/// What to make, and what to answer with if that takes too long.
struct FormatPlan {
    best: ProcessRequest,
    /// Candidates of which the smallest is chosen, if no rule decides.
    rivals: Vec<ProcessRequest>,
    /// Weights for comparing the sizes of rivals.
    weights: Weights,
    /// `None` when the best is not slow, or when the client can show nothing else.
    fallback: Option<ProcessRequest>,
}

/// The variant in the best format for `accept`, made now if needed. `request` may be in any format.
///
/// # Errors
/// As [`variant::get_or_make`].
pub async fn variant(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
    accept: &Accept,
) -> Result<Answer> {
    let original = find::original(ctx, alias).await?;
    let plan = plan(ctx, &original, request, accept).await?;
    if let Some(answer) = smallest(ctx, alias, &original, &plan).await? {
        return Ok(answer);
    }
    let Some(fallback) = plan.fallback else {
        let found = variant::get_or_make(ctx, alias, &plan.best).await?;
        return Ok(best(found));
    };
    if let Some(found) = variant::existing(ctx, alias, &plan.best).await? {
        return Ok(best(found));
    }
    let key = (*original.hash(), plan.best.key.clone());
    let budget = Duration::from_millis(ctx.config.media.auto.budget);
    if ctx.auto.has_failed(&key) {
        return meanwhile(ctx, alias, fallback).await;
    }
    if budget.is_zero() {
        queue(ctx, alias, &plan.best).await;
        return meanwhile(ctx, alias, fallback).await;
    }
    let mut making = Box::pin(noted(ctx, alias, &plan.best, key));
    match tokio::time::timeout(budget, &mut making).await {
        Ok(Ok(found)) => Ok(best(found)),
        // Another format may still work, and if it does not, its error is the best explanation.
        Ok(Err(_)) => meanwhile(ctx, alias, fallback).await,
        Err(_) => late(ctx, alias, (original, plan.best), making, fallback).await,
    }
}

/// The best variant that already exists; never makes one.
///
/// # Errors
/// [`crate::ErrorCode::AliasNotFound`], and [`crate::ErrorCode::TooBusy`] when choosing requires
/// reading the original.
pub async fn existing(
    ctx: &Context,
    alias: &Alias,
    request: &ProcessRequest,
    accept: &Accept,
) -> Result<Option<Answer>> {
    let original = find::original(ctx, alias).await?;
    let plan = plan(ctx, &original, request, accept).await?;
    let mut made = Vec::new();
    for rival in &plan.rivals {
        made.extend(variant::existing(ctx, alias, rival).await?);
    }
    let is_fallback = made.len() < plan.rivals.len();
    if let Some(found) = of_fewest_bytes(made, plan.weights) {
        return Ok(Some(Answer { found, is_fallback }));
    }
    if let Some(found) = variant::existing(ctx, alias, &plan.best).await? {
        return Ok(Some(best(found)));
    }
    let Some(request) = plan.fallback else {
        return Ok(None);
    };
    let found = variant::existing(ctx, alias, &request).await?;
    Ok(found.map(|found| Answer {
        found,
        is_fallback: true,
    }))
}

/// Queues the best variant, as [`background::process`] does.
///
/// # Errors
/// As [`background::process`].
pub async fn in_background(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
    accept: &Accept,
) -> Result<()> {
    let original = find::original(ctx, alias).await?;
    let plan = plan(ctx, &original, request, accept).await?;
    for rival in plan
        .rivals
        .iter()
        .filter(|rival| rival.key != plan.best.key)
    {
        background::process(ctx, alias, rival).await?;
    }
    background::process(ctx, alias, &plan.best).await
}

/// Makes all rivals and returns the smallest. Slow ones get the usual budget; if they need more,
/// the best of the others is returned meanwhile. `None` when there are no rivals, or none of them
/// is ready in time.
async fn smallest(
    ctx: &Arc<Context>,
    alias: &Alias,
    original: &Arc<Original>,
    plan: &FormatPlan,
) -> Result<Option<Answer>> {
    let settings = &ctx.config.media.auto;
    let rivals = &plan.rivals;
    let (slow, quick): (Vec<_>, Vec<_>) = rivals
        .iter()
        .partition(|rival| settings.is_slow(rival.format));
    let mut made = Vec::with_capacity(rivals.len());
    let mut is_fallback = false;
    for rival in quick {
        // Another rival may still work; if none does, the plain way gives the best error.
        made.extend(variant::get_or_make(ctx, alias, rival).await.ok());
    }
    let deadline = Instant::now() + Duration::from_millis(settings.budget);
    for rival in slow {
        if let Some(found) = variant::existing(ctx, alias, rival).await? {
            made.push(found);
            continue;
        }
        let key = (*original.hash(), rival.key.clone());
        if ctx.auto.has_failed(&key) {
            continue;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            is_fallback = true;
            queue(ctx, alias, rival).await;
            continue;
        }
        let mut making = Box::pin(noted(ctx, alias, rival, key.clone()));
        match tokio::time::timeout(left, &mut making).await {
            Ok(outcome) => made.extend(outcome.ok()),
            Err(_) => {
                is_fallback = true;
                leave_behind(ctx, alias, rival, key, making).await;
            }
        }
    }
    Ok(of_fewest_bytes(made, plan.weights).map(|found| Answer { found, is_fallback }))
}

/// The smallest at equal quality; the first of those of equal size.
fn of_fewest_bytes(made: Vec<Found>, weights: Weights) -> Option<Found> {
    made.into_iter()
        .min_by_key(|(_, variant)| weights.counted(variant.key.format(), variant.key.size()))
}

/// Makes a variant, and records if it is likely to fail again.
fn noted(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
    key: ContentVariant,
) -> impl Future<Output = Result<Found>> + Send + use<> {
    let (ctx, alias, request) = (ctx.clone(), alias.clone(), request.clone());
    async move {
        let made = variant::get_or_make(&ctx, &alias, &request).await;
        if let Err(error) = &made {
            ctx.auto.note(key, error);
        }
        made
    }
}

/// Lets work continue after its client got another answer.
async fn leave_behind(
    ctx: &Arc<Context>,
    alias: &Alias,
    request: &ProcessRequest,
    key: ContentVariant,
    making: impl Future<Output = Result<Found>> + Send + 'static,
) {
    match LeftBehind::begin(ctx, key) {
        Leave::Held(held) => {
            let rest = async move {
                let _held = held;
                let _ = making.await;
            };
            ctx.runtime.spawn(rest.in_current_span());
        }
        Leave::Full => queue(ctx, alias, request).await,
        Leave::Known => {}
    }
}

fn best(found: Found) -> Answer {
    Answer {
        found,
        is_fallback: false,
    }
}

async fn meanwhile(ctx: &Arc<Context>, alias: &Alias, request: ProcessRequest) -> Result<Answer> {
    let found = variant::get_or_make(ctx, alias, &request).await?;
    Ok(Answer {
        found,
        is_fallback: true,
    })
}

/// The budget is spent. The first result that is ready is the answer, because with one processor
/// the fallback has to wait for the other work; and the best variant is finished in any case.
async fn late(
    ctx: &Arc<Context>,
    alias: &Alias,
    (original, request): (Arc<Original>, ProcessRequest),
    making: impl Future<Output = Result<Found>> + Send + Unpin + 'static,
    fallback: ProcessRequest,
) -> Result<Answer> {
    let meanwhile = meanwhile(ctx, alias, fallback);
    match LeftBehind::begin(ctx, (*original.hash(), request.key.clone())) {
        Leave::Held(held) => {
            let making = ctx.runtime.spawn(
                async move {
                    let _held = held;
                    making.await
                }
                .in_current_span(),
            );
            let making = async { making.await.ok()?.ok().map(best) };
            first_success(making, meanwhile).await
        }
        leave => {
            if matches!(leave, Leave::Full) {
                queue(ctx, alias, &request).await;
            }
            let making = async { making.await.ok().map(best) };
            first_success(making, meanwhile).await
        }
    }
}

/// Whichever succeeds first. When both fail, the error of the fallback explains it best.
async fn first_success<T>(
    making: impl Future<Output = Option<T>>,
    fallback: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::pin!(making, fallback);
    tokio::select! {
        made = &mut making => match made {
            Some(made) => Ok(made),
            None => fallback.await,
        },
        answer = &mut fallback => match answer {
            Ok(answer) => Ok(answer),
            Err(error) => making.await.ok_or(error),
        },
    }
}

/// Queues the work as a background job. If the queue is full, a later request tries again.
async fn queue(ctx: &Arc<Context>, alias: &Alias, request: &ProcessRequest) {
    if let Err(error) = background::process(ctx, alias, request).await {
        tracing::debug!(%error, %alias, "a better format is not made now");
    }
}

/// What to do with work whose client got another answer.
enum Leave {
    /// It continues by itself.
    Held(LeftBehind),
    /// It is already taken care of.
    Known,
    /// Too much work already continues by itself.
    Full,
}

/// Work that continues by itself. It is limited like background work.
struct LeftBehind {
    ctx: Arc<Context>,
    key: ContentVariant,
}

impl LeftBehind {
    fn begin(ctx: &Arc<Context>, key: ContentVariant) -> Leave {
        let mut inner = ctx.auto.lock();
        if inner.left_behind.contains(&key) {
            return Leave::Known;
        }
        if inner.left_behind.len() >= ctx.media.background() {
            return Leave::Full;
        }
        inner.left_behind.insert(key.clone());
        drop(inner);
        let ctx = ctx.clone();
        Leave::Held(Self { ctx, key })
    }
}

impl Drop for LeftBehind {
    fn drop(&mut self) {
        self.ctx.auto.lock().left_behind.remove(&self.key);
    }
}

async fn plan(
    ctx: &Context,
    original: &Original,
    request: &ProcessRequest,
    accept: &Accept,
) -> Result<FormatPlan> {
    let settings = &ctx.config.media.auto;
    let formats = settings.formats();
    let mut source = PictureTraits::new(
        &original.representation,
        &request.operations,
        request.frame.is_some(),
    );
    let choose = |source| -> (OutputFormat, Option<OutputFormat>, Vec<OutputFormat>) {
        let ranked = ranked(source, accept, &formats);
        let rivals = rivals(source, accept, &ranked);
        let best = ranked.first().copied().unwrap_or(OutputFormat::Jpeg);
        let fallback = ranked.into_iter().skip(1);
        let mut fallback = fallback.filter(|_| settings.is_slow(best));
        let fallback = fallback.find(|format| !settings.is_slow(*format));
        (best, fallback, rivals)
    };
    let mut chosen = choose(source);
    // Only then does it matter; the file must be read for it.
    if (chosen.0 == OutputFormat::Jpeg || chosen.1 == Some(OutputFormat::Jpeg))
        && is_transparent(ctx, original).await?
    {
        source.transparent = true;
        chosen = choose(source);
    }
    let stored = &original.representation;
    let in_format = |format| -> Result<ProcessRequest> {
        let request = request.in_format(format)?;
        Ok(request
            .normalized(stored.kind(), stored.frames)?
            .into_owned())
    };
    Ok(FormatPlan {
        best: in_format(chosen.0)?,
        fallback: chosen.1.map(in_format).transpose()?,
        rivals: chosen.2.into_iter().map(in_format).collect::<Result<_>>()?,
        weights: Weights::of(source),
    })
}

/// Reads the whole file, so it waits for a permit like any other work.
async fn is_transparent(ctx: &Context, original: &Original) -> Result<bool> {
    let stored = &original.representation;
    if ctx.config.server.danger_dummy_mode
        || matches!(stored.key.format(), Format::Jpeg | Format::Mp4)
    {
        return Ok(false);
    }
    let known = || {
        let mut inner = ctx.auto.lock();
        inner.transparent.get(original.hash()).copied()
    };
    if let Some(known) = known() {
        return Ok(known);
    }
    let permit = ctx.media.acquire().await?;
    if let Some(known) = known() {
        return Ok(known);
    }
    let source = find::whole(ctx, stored).await?;
    let inspected = ctx.media.inspect(permit, source, Bounds::NONE).await?;
    let facts = inspected.result.map_err(convert::stored_is_broken)?;
    let transparent = facts.has_alpha;
    let mut inner = ctx.auto.lock();
    inner.transparent.push(*original.hash(), transparent);
    Ok(transparent)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::{Error, ErrorCode};

    async fn answer(best: Option<u8>, fallback: Result<u8>) -> Result<u8, ErrorCode> {
        let code = |error: Error| error.code();
        let late = async {
            tokio::task::yield_now().await;
            best
        };
        first_success(late, ready(fallback)).await.map_err(code)
    }

    #[tokio::test]
    async fn a_fallback_that_fails_does_not_hide_what_succeeds_later() {
        let failure = || Err(Error::user(ErrorCode::TooBusy, "busy"));
        assert_eq!(answer(Some(1), failure()).await, Ok(1));
        assert_eq!(answer(None, failure()).await, Err(ErrorCode::TooBusy));
        assert_eq!(answer(Some(1), Ok(2)).await, Ok(2));
        assert_eq!(first_success(pending(), ready(Ok(2))).await.ok(), Some(2));
        let fallback = async {
            tokio::task::yield_now().await;
            Ok(2)
        };
        assert_eq!(first_success(ready(None), fallback).await.ok(), Some(2));
        assert_eq!(first_success(ready(Some(1)), pending()).await.ok(), Some(1));
    }
}
