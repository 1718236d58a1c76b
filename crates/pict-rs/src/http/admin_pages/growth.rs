//! The part of the overview that shows how the store has grown, and when it will be full.

use maud::{Markup, html};
use pict_rs_core::service::budget::BudgetFigures;
use pict_rs_core::service::growth::{Bound, Day, Fullness, GrowthReport, Kinds};

use super::{counted, size};
use crate::http::view::date;

/// Days that the plot shows at most.
const SHOWN: i64 = 90;
/// Height of the plot.
const HEIGHT: f64 = 120.0;

/// The plot and what follows from it.
pub fn growth(report: &GrowthReport, budget: Option<&BudgetFigures>) -> Markup {
    html! {
        @if let Some(pace) = &report.pace {
            (plot(&report.days, budget))
            p { (grows(pace)) }
            @if let Some(full) = &report.full { p { (fullness(full)) } }
        } @else {
            p { "It takes three days to tell how fast the store grows. "
                @match report.days.len() {
                    0 | 1 => "The first one is today.",
                    days => { (counted(days as u64, "day is known", "days are known")) "." }
                }
            }
        }
    }
}

/// How much of the budget is used, and what that means.
pub fn used(figures: &BudgetFigures) -> Markup {
    html! {
        p { (size(figures.used)) " of " (size(figures.budget)) " are used (" code { "media.disk" } "); files may take "
            (size(figures.capacity)) ". Uploads take " (size(figures.uploads)) " and are never dropped; variants and "
            "media of other servers give way." }
        @if figures.left() == 0 {
            p.state.bad role="alert" { "The budget is used up: no uploads are taken in. Delete some, or raise "
                code { "media.disk" } "." }
        } @else if figures.refuses_proxied() {
            p.state.bad role="alert" { "The budget is nearly used up: no new media of other servers are taken in. "
                "Uploads have " (size(figures.left())) " left." }
        }
    }
}

/// What grows, the fastest first.
fn grows(pace: &Kinds<f64>) -> String {
    let mut kinds = [
        ("uploads", pace.uploads),
        ("variants", pace.variants),
        ("media of other servers", pace.proxied),
    ];
    kinds.sort_by(|one, two| two.1.total_cmp(&one.1));
    let parts = kinds.map(|(name, bytes)| {
        let sign = if bytes < 0.0 { "\u{2212}" } else { "+" };
        format!("{name} {sign}{}", size(bytes.abs() as u64))
    });
    format!("A day, over the last 30 days: {}.", parts.join(", "))
}

fn fullness(full: &Fullness) -> String {
    let (what, grow) = match full.bound {
        Bound::Budget => ("The budget", "uploads do"),
        Bound::Disk => ("The disk", "the store does"),
    };
    match full.days {
        Some(days) => {
            let days = counted(days, "day", "days");
            format!("{what} is full in about {days}, if it goes on like this.")
        }
        None => format!(
            "{what} does not fill up, because {grow} not grow: {} are left.",
            size(full.left)
        ),
    }
}

/// One bar for each day, and the budget as a line if it is near enough.
fn plot(days: &[Day], budget: Option<&BudgetFigures>) -> Markup {
    let Some(last) = days.last() else {
        return Markup::default();
    };
    let first = days.first().map_or(last.day, |day| day.day);
    let first = first.max(last.day - SHOWN + 1);
    let days: Vec<_> = days.iter().filter(|day| day.day >= first).collect();
    let sum = |day: &Day| {
        day.stored
            .uploads
            .saturating_add(day.stored.variants)
            .saturating_add(day.stored.proxied)
    };
    let most = days.iter().map(|day| sum(day)).max().unwrap_or(0);
    let line = budget.map(|figures| figures.capacity);
    let line = line.filter(|capacity| *capacity <= most.saturating_mul(3));
    let top = line.unwrap_or(0).max(most).max(1) as f64;
    let width = 1000.0 / (last.day - first + 1) as f64;
    let height = |bytes: u64| bytes as f64 / top * HEIGHT;
    let [from, to] = [first, last.day].map(date);
    let label = format!(
        "From {from} to {to} the store has grown to {} at most.",
        size(most)
    );
    html! {
        svg.growth viewBox=(format!("0 0 1000 {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(label) {
            @for day in &days {
                g {
                    title { (date(day.day)) ": " (size(sum(day))) }
                    @let x = (day.day - first) as f64 * width;
                    @for (class, below, bytes) in stacked(day) {
                        rect.(class) x=(format!("{x:.2}")) width=(format!("{width:.2}"))
                            y=(format!("{:.2}", HEIGHT - height(below + bytes))) height=(format!("{:.2}", height(bytes))) {}
                    }
                }
            }
            @if let Some(capacity) = line {
                line x1="0" x2="1000" y1=(format!("{:.2}", HEIGHT - height(capacity)))
                    y2=(format!("{:.2}", HEIGHT - height(capacity))) {}
            }
        }
        p.axis { span { (from) } span { "at most " (size(most)) } span { (to) } }
    }
}

/// The parts of a bar, each with what is below it.
fn stacked(day: &Day) -> [(&'static str, u64, u64); 3] {
    let Kinds {
        uploads,
        variants,
        proxied,
    } = day.stored;
    [
        ("uploads", 0, uploads),
        ("variants", uploads, variants),
        ("proxied", uploads.saturating_add(variants), proxied),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(growing: bool) -> GrowthReport {
        let day = |day: u64| Day {
            day: 20_000 + day as i64,
            stored: Kinds {
                uploads: day * 1_000_000,
                variants: 500_000,
                proxied: 3_000,
            },
        };
        let full = Fullness {
            bound: Bound::Budget,
            left: 143_000_000,
            days: growing.then_some(143),
        };
        GrowthReport {
            days: (0..120).map(day).collect(),
            pace: Some(Kinds {
                uploads: 1e6,
                variants: -2e3,
                proxied: 0.0,
            }),
            full: Some(full),
        }
    }

    #[test]
    fn the_page_tells_what_grows_and_when_it_is_full() {
        let text = growth(&report(true), None).into_string();
        let text = text.replace('\u{a0}', " ");
        assert!(text.contains("full in about 143 days"), "{text}");
        let grows = "uploads +1.0 MB, media of other servers +0 bytes, variants \u{2212}2.0 kB";
        assert!(text.contains(grows), "{text}");
        // As many bars as it shows days, of three parts each.
        assert_eq!(text.matches("<rect").count(), 3 * 90);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        let text = growth(&report(false), None).into_string();
        assert!(text.contains("does not fill up"), "{text}");
    }

    #[test]
    fn without_enough_days_it_says_so() {
        let mut young = report(true);
        young.days.truncate(2);
        (young.pace, young.full) = (None, None);
        let text = growth(&young, None).into_string();
        assert!(text.contains("three days") && text.contains("2 days are known"));
        assert!(!text.contains("<svg"));
    }
}
