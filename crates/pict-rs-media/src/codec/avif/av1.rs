//! Decodes AV1 pictures to planes with rav1d-safe. Its panics become errors here, and it stops when
//! the work is cancelled.

use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering};

use rav1d_safe::{
    ColorRange, Decoder, Error as Av1Error, Frame, PixelLayout, Planes as FramePlanes, Settings,
    Strictness,
};

use rav1d_safe::src::managed::{Stop, StopReason};

use super::{
    corrupt,
    planes::{Plane, Planes, Samples, Subsampling},
    properties::{Nclx, Properties},
};
use crate::{Control, Error, Result, codec::panics::caught};

/// A decoder, for any number of pictures that are coded alike or follow each other.
pub(super) struct Av1<'c> {
    decoder: Decoder,
    size: (u32, u32),
    /// Which frame of a layered picture to show.
    layer: usize,
    control: &'c Control,
}

struct Stopped(Arc<AtomicBool>);

impl Stop for Stopped {
    fn check(&self) -> Result<(), StopReason> {
        if self.0.load(Ordering::Relaxed) {
            return Err(StopReason::Cancelled);
        }
        Ok(())
    }
}

impl<'c> Av1<'c> {
    /// For pictures of this size; a stream with a larger one is refused before memory is allocated.
    pub(super) fn new(
        size: (u32, u32),
        properties: &Properties<'_>,
        control: &'c Control,
    ) -> Result<Self> {
        let mut settings = Settings::default();
        // With more than one thread, a panic in one of them makes the caller wait for ever.
        settings.threads = 1;
        settings.max_frame_delay = 1;
        let area = u64::from(size.0) * u64::from(size.1);
        settings.frame_size_limit = u32::try_from(area.max(1)).unwrap_or(u32::MAX);
        settings.operating_point = properties.operating_point;
        settings.all_layers = properties.layer.is_some();
        // As in browsers: slightly invalid streams are shown anyway.
        settings.strictness = Strictness::Lenient;
        let stop = Stopped(control.token());
        guarded(control, || {
            let mut decoder = Decoder::with_settings(settings)?;
            decoder.set_stop(Some(Arc::new(stop)));
            Ok(decoder)
        })
        .map(|decoder| Self {
            decoder,
            size,
            layer: properties.layer.unwrap_or(0).into(),
            control,
        })
    }

    /// The planes of the only picture in `data`. With `luma_only` the others are left out.
    pub(super) fn picture(&mut self, data: &[u8], luma_only: bool) -> Result<Planes> {
        self.control.check()?;
        let (decoder, layer) = (&mut self.decoder, self.layer);
        let planes = guarded(self.control, || {
            let mut seen = 0;
            let mut chosen = None;
            let mut next = decoder.decode(data)?;
            loop {
                let Some(frame) = next else { break };
                if seen <= layer {
                    chosen = Some(frame);
                }
                seen += 1;
                next = decoder.get_frame()?;
            }
            Ok(chosen.map(|frame| planes(&frame, luma_only)))
        })?;
        let planes = planes.ok_or_else(|| corrupt("its AV1 data show no picture"))?;
        if planes.size() != self.size {
            let (width, height) = planes.size();
            return Err(corrupt(format!(
                "a picture of {}x{} is coded as {width}x{height}",
                self.size.0, self.size.1
            )));
        }
        Ok(planes)
    }
}

/// Runs calls into the decoder. After an error the decoder is not used again.
fn guarded<T>(control: &Control, calls: impl FnOnce() -> rav1d_safe::Result<T>) -> Result<T> {
    match caught(calls) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => {
            control.check()?;
            Err(match error.error() {
                Av1Error::OutOfMemory => Error::Internal("no memory to decode AV1".into()),
                other => corrupt(format!("AV1: {other}")),
            })
        }
        Err(_) => Err(corrupt("its AV1 data cannot be followed")),
    }
}

/// A copy of the planes, so that the decoder and its references can be freed.
fn planes(frame: &Frame, luma_only: bool) -> Planes {
    let info = frame.color_info();
    let subsampling = match frame.pixel_layout() {
        PixelLayout::I400 => None,
        PixelLayout::I420 => Some(Subsampling {
            across: true,
            down: true,
        }),
        PixelLayout::I422 => Some(Subsampling {
            across: true,
            down: false,
        }),
        PixelLayout::I444 => Some(Subsampling {
            across: false,
            down: false,
        }),
    };
    let subsampling = subsampling.filter(|_| !luma_only);
    macro_rules! copy {
        ($planes:expr) => {{
            let planes = $planes;
            let mut copies = Vec::with_capacity(3);
            let chroma = subsampling.map(|_| [planes.u(), planes.v()]);
            let views = [Some(planes.y())]
                .into_iter()
                .chain(chroma.into_iter().flatten());
            for view in views.flatten() {
                let mut samples = Vec::with_capacity(view.width() * view.height());
                for row in 0..view.height() {
                    samples.extend_from_slice(view.row(row));
                }
                copies.push(Plane {
                    width: view.width(),
                    height: view.height(),
                    samples,
                });
            }
            copies
        }};
    }
    Planes {
        bits: frame.bit_depth(),
        subsampling,
        nclx: Nclx {
            primaries: info.primaries as u16,
            transfer: info.transfer_characteristics as u16,
            matrix: info.matrix_coefficients as u16,
            full_range: info.color_range == ColorRange::Full,
        },
        samples: match frame.planes() {
            FramePlanes::Depth8(planes) => Samples::U8(copy!(planes)),
            FramePlanes::Depth16(planes) => Samples::U16(copy!(planes)),
        },
    }
}
