//! The calls into libwebp, as safe functions and owning types.
//!
//! The only unsafe code of this codec. It knows pixels and bitstreams, never containers; sizes
//! that come from files were checked before they get here, and are checked again by libwebp
//! against the buffers it is given. Start reading at [`decode`] and [`Planes`].
#![expect(
    unsafe_code,
    reason = "libwebp is a C library; each block says why it is sound"
)]

use std::ffi::{c_int, c_void};
use std::ptr;

use libwebp_sys as c;

use super::riff::corrupt;
use crate::{Error, Result};

pub(super) use c::WebPConfig as Config;

/// The largest width and height of a VP8 or VP8L picture, in pixels.
pub(super) const MAX_SIZE: u32 = c::WEBP_MAX_DIMENSION;

/// Whether decoded pixels have three or four channels; alpha is straight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pixels {
    Rgb,
    Rgba,
}

impl Pixels {
    pub(super) fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    fn mode(self) -> c::WEBP_CSP_MODE {
        match self {
            Self::Rgb => c::WEBP_CSP_MODE::MODE_RGB,
            Self::Rgba => c::WEBP_CSP_MODE::MODE_RGBA,
        }
    }
}

/// Decodes a bitstream into `into`, row by row, with `stride` bytes from one row to the next.
pub(super) fn decode(
    bitstream: &[u8],
    pixels: Pixels,
    into: &mut [u8],
    stride: usize,
) -> Result<()> {
    let mut config = decoder_config(pixels, into.as_mut_ptr(), into.len(), stride)?;
    // SAFETY: the data pointer and length are those of a live slice. The output buffer is
    // described with its true length, which libwebp checks against the picture's size, and is
    // marked as external, so libwebp neither frees nor resizes it.
    let status = unsafe { c::WebPDecode(bitstream.as_ptr(), bitstream.len(), &raw mut config) };
    check(status)
}

/// Decodes a bitstream in steps, so that the work can be monitored and cancelled.
pub(super) struct Incremental<'a> {
    bitstream: &'a [u8],
    given: usize,
    /// Owned; the decoder points into it.
    config: *mut c::WebPDecoderConfig,
    decoder: *mut c::WebPIDecoder,
    /// The decoder writes into it through `config`.
    samples: Vec<u8>,
    stride: usize,
}

impl<'a> Incremental<'a> {
    pub(super) fn new(
        bitstream: &'a [u8],
        width: u32,
        height: u32,
        pixels: Pixels,
    ) -> Result<Self> {
        let stride = width as usize * pixels.channels();
        let mut samples = zeroed(stride, height as usize)?;
        let config = decoder_config(pixels, samples.as_mut_ptr(), samples.len(), stride)?;
        let config = Box::into_raw(Box::new(config));
        // SAFETY: `config` is a valid configuration at an address that stays the same until
        // `drop`. No data are given yet.
        let decoder = unsafe { c::WebPIDecode(ptr::null(), 0, config) };
        let this = Self {
            bitstream,
            given: 0,
            config,
            decoder,
            samples,
            stride,
        };
        if decoder.is_null() {
            return Err(out_of_memory());
        }
        Ok(this)
    }

    /// Passes up to `bytes` more of the bitstream to the decoder; `None` once all rows are decoded.
    pub(super) fn advance(&mut self, bytes: usize) -> Result<Option<()>> {
        self.given = self.given.saturating_add(bytes).min(self.bitstream.len());
        // SAFETY: the decoder is live, and every call gives it a longer piece of the same
        // buffer, which outlives it.
        let status = unsafe { c::WebPIUpdate(self.decoder, self.bitstream.as_ptr(), self.given) };
        match status {
            c::VP8StatusCode::VP8_STATUS_OK => Ok(None),
            c::VP8StatusCode::VP8_STATUS_SUSPENDED if self.given < self.bitstream.len() => {
                Ok(Some(()))
            }
            status => check(status).map(|()| None),
        }
    }

    /// The number of decoded rows, from the top.
    pub(super) fn rows(&self) -> usize {
        let mut last = 0;
        // SAFETY: the decoder is live, `last` is valid for writes, and libwebp allows null for
        // unneeded values.
        let area = unsafe {
            c::WebPIDecGetRGB(
                self.decoder,
                &raw mut last,
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        if area.is_null() {
            return 0;
        }
        let last = usize::try_from(last).unwrap_or(0);
        last.min(self.samples.len() / self.stride)
    }

    /// A decoded row.
    pub(super) fn row(&self, row: usize) -> &[u8] {
        &self.samples[row * self.stride..][..self.stride]
    }
}

impl Drop for Incremental<'_> {
    fn drop(&mut self) {
        // SAFETY: the decoder was made by `WebPIDecode` (or is null, which is allowed), points to
        // `config` until here, and cannot be used after drop. `config` came from a `Box`.
        unsafe {
            c::WebPIDelete(self.decoder);
            drop(Box::from_raw(self.config));
        }
    }
}

fn decoder_config(
    pixels: Pixels,
    samples: *mut u8,
    length: usize,
    stride: usize,
) -> Result<c::WebPDecoderConfig> {
    let mut config = c::WebPDecoderConfig::new().map_err(|()| version_mismatch())?;
    config.output.colorspace = pixels.mode();
    config.output.is_external_memory = 1;
    config.output.u.RGBA = c::WebPRGBABuffer {
        rgba: samples,
        stride: int(stride)?,
        size: length,
    };
    Ok(config)
}

fn check(status: c::VP8StatusCode) -> Result<()> {
    use c::VP8StatusCode as Status;
    Err(match status {
        Status::VP8_STATUS_OK => return Ok(()),
        // Also returned for a damaged alpha header. Memory was predicted before decoding, so the
        // file is more likely the cause.
        Status::VP8_STATUS_OUT_OF_MEMORY => {
            corrupt("its transparency is invalid, or there is no memory for the picture")
        }
        Status::VP8_STATUS_NOT_ENOUGH_DATA | Status::VP8_STATUS_SUSPENDED => {
            corrupt("the picture ends too early")
        }
        Status::VP8_STATUS_BITSTREAM_ERROR => corrupt("the picture's data are invalid"),
        // We never abort: libwebp returns this when alpha cannot be decoded.
        Status::VP8_STATUS_USER_ABORT => corrupt("the picture's transparency is invalid"),
        Status::VP8_STATUS_UNSUPPORTED_FEATURE => {
            corrupt("the picture uses a feature that the format reserves")
        }
        status => Error::Internal(format!("libwebp refused to decode: {status:?}")),
    })
}

/// An encoder configuration with libwebp's defaults.
pub(super) fn config() -> Result<Config> {
    Config::new().map_err(|()| version_mismatch())
}

/// Planes for VP8: luma, chroma at half resolution, and alpha if there is any.
pub(super) struct Planes {
    width: usize,
    height: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    /// Empty while every pixel is opaque.
    a: Vec<u8>,
}

impl Planes {
    /// `width` and `height` are at least 1 and at most [`MAX_SIZE`].
    pub(super) fn new(width: u32, height: u32) -> Result<Self> {
        let (width, height) = (width as usize, height as usize);
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        Ok(Self {
            width,
            height,
            y: zeroed(width, height)?,
            u: zeroed(chroma_width, chroma_height)?,
            v: zeroed(chroma_width, chroma_height)?,
            a: Vec::new(),
        })
    }

    /// Converts some rows, given without gaps between them, to planes. `top` is even, and the
    /// number of rows is even unless they are the last.
    pub(super) fn import(&mut self, top: usize, pixels: Pixels, samples: &[u8]) -> Result<()> {
        let stride = self.width * pixels.channels();
        let rows = samples.len() / stride;
        debug_assert!(top.is_multiple_of(2) && top + rows <= self.height);
        let strip = Strip::import(self.width, rows, pixels, &samples[..rows * stride])?;
        let chroma_width = self.width.div_ceil(2);
        let chroma = top / 2 * chroma_width..(top + rows).div_ceil(2) * chroma_width;
        let luma = top * self.width..(top + rows) * self.width;
        strip.copy_plane(Plane::Y, self.width, &mut self.y[luma.clone()]);
        strip.copy_plane(Plane::U, chroma_width, &mut self.u[chroma.clone()]);
        strip.copy_plane(Plane::V, chroma_width, &mut self.v[chroma]);
        if strip.has_alpha() {
            if self.a.is_empty() {
                self.a = filled(0xff, self.width, self.height)?;
            }
            strip.copy_plane(Plane::A, self.width, &mut self.a[luma]);
        }
        Ok(())
    }

    /// Encodes the planes as a complete WebP file. May change samples that are invisible.
    pub(super) fn encode(&mut self, config: &Config) -> Result<Vec<u8>> {
        let mut picture = picture(self.width, self.height)?;
        picture.y = self.y.as_mut_ptr();
        picture.u = self.u.as_mut_ptr();
        picture.v = self.v.as_mut_ptr();
        picture.y_stride = int(self.width)?;
        picture.uv_stride = int(self.width.div_ceil(2))?;
        if !self.a.is_empty() {
            picture.colorspace = c::WebPEncCSP::WEBP_YUV420A;
            picture.a = self.a.as_mut_ptr();
            picture.a_stride = int(self.width)?;
        }
        // SAFETY: the planes are vectors of exactly the sizes that follow from the picture's size
        // and strides, and they are neither dropped nor accessed until the call returns.
        unsafe { encode(config, picture) }
    }
}

/// Encodes pixels, each `0xAARRGGBB`, losslessly as a complete WebP file. May change pixels that
/// are invisible.
pub(super) fn encode_argb(
    config: &Config,
    width: u32,
    height: u32,
    argb: &mut [u32],
) -> Result<Vec<u8>> {
    let (width, height) = (width as usize, height as usize);
    if argb.len() != width * height {
        return Err(Error::Internal("a picture has missing rows".into()));
    }
    let mut picture = picture(width, height)?;
    picture.use_argb = 1;
    picture.argb = argb.as_mut_ptr();
    picture.argb_stride = int(width)?;
    // SAFETY: the slice has exactly `width * height` pixels, and is neither dropped nor accessed
    // until the call returns.
    unsafe { encode(config, picture) }
}

/// # Safety
/// The planes or pixels that `picture` points to must be live, unshared, and as large as its
/// size and strides say.
unsafe fn encode(config: &Config, mut picture: c::WebPPicture) -> Result<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    picture.writer = Some(append);
    picture.custom_ptr = (&raw mut out).cast::<c_void>();
    // SAFETY: the caller guarantees the pixels; the writer matches the type behind `custom_ptr`,
    // which outlives the call. libwebp checks the configuration.
    let ok = unsafe { c::WebPEncode(config, &raw mut picture) };
    // SAFETY: frees only what libwebp itself has attached to the picture (a converted copy); it
    // does not own planes that were set from outside.
    unsafe { c::WebPPictureFree(&raw mut picture) };
    if ok == 0 {
        return Err(Error::Internal(format!(
            "libwebp refused to encode: {:?}",
            picture.error_code
        )));
    }
    Ok(out)
}

/// Receives a piece of the encoded file.
///
/// # Safety
/// Must be called by libwebp with a picture whose `custom_ptr` points to a `Vec<u8>`.
unsafe extern "C" fn append(data: *const u8, size: usize, picture: *const c::WebPPicture) -> c_int {
    if size == 0 {
        return 1;
    }
    // SAFETY: `encode` has set `custom_ptr` to a live vector that is not used elsewhere meanwhile,
    // and libwebp passes `size` readable bytes at `data`.
    let (out, data) = unsafe {
        let out = &mut *(*picture).custom_ptr.cast::<Vec<u8>>();
        (out, std::slice::from_raw_parts(data, size))
    };
    if out.try_reserve(size).is_err() {
        return 0;
    }
    out.extend_from_slice(data);
    1
}

/// Some rows that libwebp has converted to its own planes.
struct Strip {
    picture: c::WebPPicture,
}

enum Plane {
    Y,
    U,
    V,
    A,
}

impl Strip {
    fn import(width: usize, rows: usize, pixels: Pixels, samples: &[u8]) -> Result<Self> {
        let stride = int(width * pixels.channels())?;
        debug_assert_eq!(samples.len(), width * pixels.channels() * rows);
        let mut strip = Self {
            picture: picture(width, rows)?,
        };
        let import = match pixels {
            Pixels::Rgb => c::WebPPictureImportRGB,
            Pixels::Rgba => c::WebPPictureImportRGBA,
        };
        // SAFETY: `samples` contains `rows` rows of `stride` bytes. The picture is initialised and
        // owns no planes yet; libwebp allocates them.
        let ok = unsafe { import(&raw mut strip.picture, samples.as_ptr(), stride) };
        if ok == 0 {
            return Err(out_of_memory());
        }
        Ok(strip)
    }

    fn has_alpha(&self) -> bool {
        self.picture.colorspace == c::WebPEncCSP::WEBP_YUV420A
    }

    /// Copies a plane without gaps; `into` contains whole rows of `width`.
    fn copy_plane(&self, plane: Plane, width: usize, into: &mut [u8]) {
        let picture = &self.picture;
        let (start, stride) = match plane {
            Plane::Y => (picture.y, picture.y_stride),
            Plane::U => (picture.u, picture.uv_stride),
            Plane::V => (picture.v, picture.uv_stride),
            Plane::A => (picture.a, picture.a_stride),
        };
        let stride = usize::try_from(stride).expect("libwebp's strides are positive");
        for (row, into) in into.chunks_exact_mut(width).enumerate() {
            // SAFETY: `import` was given as many rows as `into` has, of the same width, so the
            // plane that libwebp allocated has this row.
            let from = unsafe { std::slice::from_raw_parts(start.add(row * stride), width) };
            into.copy_from_slice(from);
        }
    }
}

impl Drop for Strip {
    fn drop(&mut self) {
        // SAFETY: the picture is initialised, and owns only what libwebp has allocated.
        unsafe { c::WebPPictureFree(&raw mut self.picture) };
    }
}

fn picture(width: usize, height: usize) -> Result<c::WebPPicture> {
    let mut picture = c::WebPPicture::new().map_err(|()| version_mismatch())?;
    picture.width = int(width)?;
    picture.height = int(height)?;
    Ok(picture)
}

fn zeroed(stride: usize, rows: usize) -> Result<Vec<u8>> {
    filled(0, stride, rows)
}

fn filled(value: u8, stride: usize, rows: usize) -> Result<Vec<u8>> {
    let length = stride.checked_mul(rows).ok_or_else(out_of_memory)?;
    Ok(vec![value; length])
}

fn int(value: usize) -> Result<c_int> {
    c_int::try_from(value).map_err(|_| out_of_memory())
}

fn out_of_memory() -> Error {
    Error::Internal("libwebp has not got the memory it needs".into())
}

fn version_mismatch() -> Error {
    Error::Internal("libwebp's headers and code are of different versions".into())
}
