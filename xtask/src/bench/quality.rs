//! Score at equal bytes: six photographs at 640 px, against a linear-light reference.
//!
//! A peer at quality 80 gives a size and a score; ours is encoded with a ladder of qualities, and
//! its score at exactly the peer's size is interpolated between two steps.

use anyhow::{Context as _, Result};

use super::{
    inputs::Inputs,
    peers::{Job, Kind, Task, Tools},
    report::{Curve, Report, Verdict},
};
use crate::cache;

const LADDER: [u8; 8] = [60, 68, 74, 79, 83, 87, 91, 95];

/// Measures both formats against both peers.
///
/// # Errors
/// When a tool fails, or a peer's size is outside the ladder.
pub fn measure(inputs: &Inputs, tools: &Tools, report: &mut Report) -> Result<()> {
    for (format, extension) in [("JPEG", "jpg"), ("WebP", "webp")] {
        let peers = [Kind::Oximg, Kind::Sharp, Kind::Magick];
        for peer in peers.into_iter().filter(|&kind| tools.have(kind)) {
            println!("scoring {format} against {}", peer.name());
            let curve = curve(inputs, tools, format, extension, peer)?;
            if let (Kind::Oximg, Some(ours)) = (peer, curve.ours) {
                report.verdicts.push(Verdict {
                    what: format!("score at equal bytes, {format} 640 px"),
                    target: format!("at least oximg's {:.2}", curve.score),
                    got: format!("{ours:.2} at {:.1} kB", curve.bytes / 1e3),
                    met: ours >= curve.score,
                });
            }
            report.curves.push(curve);
        }
    }
    Ok(())
}

fn curve(
    inputs: &Inputs,
    tools: &Tools,
    format: &'static str,
    extension: &str,
    peer: Kind,
) -> Result<Curve> {
    let folder = cache::folder("bench/outputs")?;
    let mut sums = (0.0, 0.0, 0.0);
    let with_ours = tools.have(Kind::Ours);
    for photograph in &inputs.photographs {
        let job = Job {
            input: photograph,
            reference: photograph,
            task: Task::Variant(640),
            extension,
        };
        let theirs = folder.join(format!("quality-peer.{extension}"));
        quiet(&mut tools.command(peer, &job, &theirs, 0))?;
        let mut made = vec![theirs];
        for quality in LADDER.into_iter().filter(|_| with_ours) {
            let path = folder.join(format!("quality-{quality}.{extension}"));
            quiet(&mut tools.ours_once(&job, "quality", quality, &path))?;
            made.push(path);
        }
        let mut scores = tools.scores(photograph, &made)?.into_iter();
        let (score, bytes) = scores.next().context("the peer has no score")?;
        let ladder: Vec<_> = scores.collect();
        sums.0 += bytes as f64;
        sums.1 += score;
        if with_ours {
            sums.2 += at_bytes(&ladder, bytes)
                .with_context(|| format!("{bytes} bytes lie outside {ladder:?}"))?;
        }
    }
    let count = inputs.photographs.len() as f64;
    Ok(Curve {
        format,
        peer,
        bytes: sums.0 / count,
        score: sums.1 / count,
        ours: with_ours.then_some(sums.2 / count),
    })
}

pub(super) fn quiet(command: &mut std::process::Command) -> Result<()> {
    let result = command.output()?;
    let text = String::from_utf8_lossy(&result.stderr);
    anyhow::ensure!(result.status.success(), "{command:?} failed: {text}");
    Ok(())
}

/// The score at `bytes`, interpolated between steps of (score, bytes) on the logarithm of the size,
/// which approximates how score grows with size.
fn at_bytes(ladder: &[(f64, u64)], bytes: u64) -> Option<f64> {
    ladder.windows(2).find_map(|pair| {
        let [(low, small), (high, large)] = pair else {
            return None;
        };
        if !(*small..=*large).contains(&bytes) {
            return None;
        }
        if small == large {
            return Some(*low);
        }
        let place = |bytes: u64| (bytes as f64).ln();
        let share = (place(bytes) - place(*small)) / (place(*large) - place(*small));
        Some(low + share * (high - low))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_between_two_steps_is_on_the_line() {
        let ladder = [(60.0, 1000), (70.0, 2000), (80.0, 4000)];
        assert_eq!(at_bytes(&ladder, 2000), Some(70.0));
        let middle = at_bytes(&ladder, 1414).expect("inside the ladder");
        assert!((middle - 65.0).abs() < 0.01, "{middle}");
        assert_eq!(at_bytes(&ladder, 999), None);
        assert_eq!(at_bytes(&ladder, 4001), None);
    }
}
