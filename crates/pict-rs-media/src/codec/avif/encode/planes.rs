//! Planes for AV1: luma, chroma at half resolution, and alpha if there is any.

use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

use super::boxes::Size;
use super::misused;
use crate::rows::Layout;
use crate::{Error, Result};

/// The planes of one picture, without gaps between rows.
#[derive(Debug)]
pub(super) struct Planes {
    size: Size,
    y: Vec<u8>,
    /// Empty, as `v` is, for a gray picture.
    u: Vec<u8>,
    v: Vec<u8>,
    /// Empty while every pixel is opaque.
    a: Vec<u8>,
    range: YuvRange,
}

/// The part of a picture for one stream. Rows of luma are as long as the picture is wide, those of
/// chroma half of that, rounded up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(super) size: Size,
    pub(super) y: &'a [u8],
    pub(super) chroma: Option<(&'a [u8], &'a [u8])>,
}

impl Frame<'_> {
    /// The row lengths of luma and chroma in pixels.
    pub(super) fn strides(&self) -> (usize, usize) {
        let width = self.size.width as usize;
        (width, width.div_ceil(2))
    }
}

impl Planes {
    pub(super) fn new(size: Size, is_gray: bool, full_range: bool) -> Self {
        let (width, height) = (size.width as usize, size.height as usize);
        let chroma = if is_gray {
            0
        } else {
            width.div_ceil(2) * height.div_ceil(2)
        };
        Self {
            size,
            y: vec![0; width * height],
            u: vec![0; chroma],
            v: vec![0; chroma],
            a: Vec::new(),
            range: if full_range {
                YuvRange::Full
            } else {
                YuvRange::Limited
            },
        }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn is_gray(&self) -> bool {
        self.u.is_empty()
    }

    /// Converts some rows, given without gaps between them. `top` is even, and so is the number of
    /// rows unless they are the last.
    pub(super) fn import(&mut self, top: usize, layout: Layout, samples: &[u8]) -> Result<()> {
        let width = self.size.width as usize;
        let stride = width * layout.channels();
        let rows = samples.len() / stride;
        debug_assert!(top.is_multiple_of(2) && top + rows <= self.size.height as usize);
        let luma = top * width..(top + rows) * width;
        if layout == Layout::Gray8 {
            self.y[luma].copy_from_slice(samples);
            return Ok(());
        }
        let chroma_width = width.div_ceil(2);
        let chroma = top / 2 * chroma_width..(top + rows).div_ceil(2) * chroma_width;
        let mut planes = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut self.y[luma.clone()]),
            y_stride: width as u32,
            u_plane: BufferStoreMut::Borrowed(&mut self.u[chroma.clone()]),
            u_stride: chroma_width as u32,
            v_plane: BufferStoreMut::Borrowed(&mut self.v[chroma]),
            v_stride: chroma_width as u32,
            width: self.size.width,
            height: rows as u32,
        };
        let convert = match layout {
            Layout::Rgb8 => yuv::rgb_to_yuv420,
            Layout::Rgba8 => yuv::rgba_to_yuv420,
            _ => return Err(misused()),
        };
        convert(
            &mut planes,
            samples,
            stride as u32,
            self.range,
            YuvStandardMatrix::Bt601,
            YuvConversionMode::Balanced,
        )
        .map_err(|error| Error::Internal(format!("colours cannot be converted: {error}")))?;
        if layout == Layout::Rgba8 {
            self.import_alpha(luma, samples);
        }
        Ok(())
    }

    fn import_alpha(&mut self, at: std::ops::Range<usize>, rgba: &[u8]) {
        if self.a.is_empty() {
            if rgba.chunks_exact(4).all(|pixel| pixel[3] == 255) {
                return;
            }
            self.a = vec![255; self.y.len()];
        }
        for (alpha, pixel) in self.a[at].iter_mut().zip(rgba.chunks_exact(4)) {
            *alpha = pixel[3];
        }
    }

    /// Luma, and chroma unless the picture is gray.
    pub(super) fn colour(&self) -> Frame<'_> {
        Frame {
            size: self.size,
            y: &self.y,
            chroma: (!self.is_gray()).then_some((&self.u, &self.v)),
        }
    }

    /// Alpha, if any pixel is not opaque.
    pub(super) fn alpha(&self) -> Option<Frame<'_>> {
        (!self.a.is_empty()).then_some(Frame {
            size: self.size,
            y: &self.a,
            chroma: None,
        })
    }
}
