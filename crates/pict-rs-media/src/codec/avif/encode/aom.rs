//! Encodes AV1 with libaom.
//!
//! The only unsafe code of this codec. It gets planes that we made, never bytes of a file. Start
//! reading at [`Aom`].
#![expect(
    unsafe_code,
    reason = "libaom is a C library; each block says why it is sound"
)]

use std::ffi::{CStr, c_int, c_uint};
use std::mem::MaybeUninit;
use std::ptr;

use libaom_sys as c;

use super::av1::{Av1, Stream, Unit};
use super::planes::Frame;
use crate::{Error, Result};

/// libaom's fastest speed for stills. With quantiser matrices the next slower one takes four times
/// as long, for 10 % more bytes at equal score.
const STILL_SPEED: c_int = 9;

/// The speed of real-time mode: slower ones do not give smaller files.
const SEQUENCE_SPEED: c_int = 10;

pub(crate) struct Aom {
    /// Initialised until `drop`. libaom keeps pointers to its own allocations, not to this.
    context: c::aom_codec_ctx_t,
    stream: Stream,
    /// Gray chroma for monochrome pictures, because libaom may read it anyway.
    neutral: Vec<u8>,
    pictures: i64,
}

impl Av1 for Aom {
    fn new(stream: &Stream) -> Result<Self> {
        // SAFETY: returns a pointer to a static table.
        let interface = unsafe { c::aom_codec_av1_cx() };
        let config = config(interface, stream)?;
        let mut context = MaybeUninit::uninit();
        // SAFETY: the context is written before it is read (libaom zeroes it first), and the
        // configuration, which is copied, was filled in by this very version of libaom.
        let status = unsafe {
            c::aom_codec_enc_init_ver(
                context.as_mut_ptr(),
                interface,
                &raw const config,
                0,
                c::AOM_ENCODER_ABI_VERSION as c_int,
            )
        };
        check(status)?;
        // SAFETY: `aom_codec_enc_init_ver` has succeeded, so that the context is initialised.
        let context = unsafe { context.assume_init() };
        let mut this = Self {
            context,
            stream: *stream,
            neutral: Vec::new(),
            pictures: 0,
        };
        this.set_options()?;
        Ok(this)
    }

    fn encode(&mut self, frame: &Frame<'_>, units: &mut Vec<Unit>) -> Result<()> {
        let (luma_stride, chroma_stride) = frame.strides();
        let rows = frame.size.height as usize;
        let chroma_len = chroma_stride * rows.div_ceil(2);
        let (u, v) = match frame.chroma {
            Some(chroma) => chroma,
            None => {
                self.neutral.resize(chroma_len, 128);
                (&self.neutral[..], &self.neutral[..])
            }
        };
        let fits = frame.size == self.stream.size
            && frame.y.len() == luma_stride * rows
            && u.len() == chroma_len
            && v.len() == chroma_len;
        if !fits {
            return Err(super::misused());
        }
        let mut image = MaybeUninit::uninit();
        // SAFETY: fills in the image's description; the pixels are not accessed. All pointers are
        // set again below.
        let wrapped = unsafe {
            c::aom_img_wrap(
                image.as_mut_ptr(),
                c::AOM_IMG_FMT_I420,
                frame.size.width,
                frame.size.height,
                1,
                frame.y.as_ptr().cast_mut(),
            )
        };
        if wrapped.is_null() {
            return Err(refused("an image cannot be described"));
        }
        // SAFETY: `aom_img_wrap` has succeeded, so that the image is initialised.
        let mut image = unsafe { image.assume_init() };
        image.planes = [frame.y, u, v].map(|plane| plane.as_ptr().cast_mut());
        image.stride = [luma_stride, chroma_stride, chroma_stride].map(|stride| stride as c_int);
        image.monochrome = self.stream.monochrome.into();
        image.range = if self.stream.full_range {
            c::AOM_CR_FULL_RANGE
        } else {
            c::AOM_CR_STUDIO_RANGE
        };
        // SAFETY: the context is initialised. The planes have the number and length of rows that
        // the image's size and strides say (checked above); libaom only reads them, and copies what
        // it needs before it returns.
        let status = unsafe {
            c::aom_codec_encode(&raw mut self.context, &raw const image, self.pictures, 1, 0)
        };
        check(status)?;
        self.pictures += 1;
        self.receive(units);
        Ok(())
    }

    fn finish(&mut self, units: &mut Vec<Unit>) -> Result<()> {
        // SAFETY: the context is initialised; no image signals the end of the stream.
        let status =
            unsafe { c::aom_codec_encode(&raw mut self.context, ptr::null(), self.pictures, 1, 0) };
        check(status)?;
        self.receive(units);
        Ok(())
    }
}

impl Aom {
    fn set_options(&mut self) -> Result<()> {
        let speed = if self.stream.single {
            STILL_SPEED
        } else {
            SEQUENCE_SPEED
        };
        let controls = [
            (c::AOME_SET_CPUUSED, speed),
            (c::AOME_SET_CQ_LEVEL, quantizer(self.stream.quality)),
            (c::AV1E_SET_COLOR_RANGE, self.stream.full_range.into()),
            (c::AV1E_SET_COLOR_PRIMARIES, c::AOM_CICP_CP_BT_709 as c_int),
            (
                c::AV1E_SET_TRANSFER_CHARACTERISTICS,
                c::AOM_CICP_TC_SRGB as c_int,
            ),
            (
                c::AV1E_SET_MATRIX_COEFFICIENTS,
                c::AOM_CICP_MC_BT_601 as c_int,
            ),
        ];
        for (control, value) in controls {
            // SAFETY: the context is initialised, and each of these controls takes one int.
            let status =
                unsafe { c::aom_codec_control(&raw mut self.context, control as c_int, value) };
            check(status)?;
        }
        // Quantiser matrices save 17 % of the bytes, more than five steps of speed. For stills the
        // search for cheaper coefficients costs 15 % of the time and saves 3 % of the bytes:
        // without it, and with flatter matrices, a quality gives the same score as before.
        let options = if self.stream.single {
            [
                (c"enable-qm", c"1"),
                (c"qm-min", c"4"),
                (c"qm-max", c"12"),
                (c"disable-trellis-quant", c"1"),
            ]
        } else {
            [
                (c"enable-qm", c"1"),
                (c"qm-min", c"2"),
                (c"qm-max", c"10"),
                (c"sharpness", c"3"),
            ]
        };
        for (name, value) in options {
            // SAFETY: the context is initialised, and both are zero-terminated strings.
            let status = unsafe {
                c::aom_codec_set_option(&raw mut self.context, name.as_ptr(), value.as_ptr())
            };
            check(status)?;
        }
        Ok(())
    }

    /// Collects finished packets.
    fn receive(&mut self, units: &mut Vec<Unit>) {
        let mut iterator = ptr::null();
        loop {
            // SAFETY: the context is initialised, and the iterator is null or what the last
            // call has left in it.
            let packet =
                unsafe { c::aom_codec_get_cx_data(&raw mut self.context, &raw mut iterator) };
            if packet.is_null() {
                return;
            }
            // SAFETY: libaom's packets are valid until it is called again with this context.
            let packet = unsafe { &*packet };
            if packet.kind != c::AOM_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: this kind of packet has this field of the union, whose buffer has the stated
            // number of bytes.
            let (data, flags) = unsafe {
                let frame = packet.data.frame;
                let data = std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz);
                (data.to_vec(), frame.flags)
            };
            units.push(Unit {
                data,
                is_key: flags & c::AOM_FRAME_IS_KEY != 0,
            });
        }
    }
}

impl Drop for Aom {
    fn drop(&mut self) {
        // SAFETY: the context was initialised once, and cannot be used after drop.
        unsafe { c::aom_codec_destroy(&raw mut self.context) };
    }
}

fn config(interface: *const c::aom_codec_iface_t, stream: &Stream) -> Result<c::aom_codec_enc_cfg> {
    let usage = if stream.single {
        c::AOM_USAGE_ALL_INTRA
    } else {
        c::AOM_USAGE_REALTIME
    };
    let mut config = MaybeUninit::uninit();
    // SAFETY: the interface is libaom's own, and the configuration is valid for writes.
    let status = unsafe { c::aom_codec_enc_config_default(interface, config.as_mut_ptr(), usage) };
    check(status)?;
    // SAFETY: on success all of it has been written.
    let mut config: c::aom_codec_enc_cfg = unsafe { config.assume_init() };
    config.g_w = stream.size.width;
    config.g_h = stream.size.height;
    config.g_threads = 1;
    config.g_limit = c_uint::from(stream.single);
    // One picture in, one picture out; only the first is a key frame.
    config.g_lag_in_frames = 0;
    config.kf_mode = c::AOM_KF_DISABLED;
    config.g_timebase = c::aom_rational { num: 1, den: 1000 };
    config.rc_end_usage = c::AOM_Q;
    config.monochrome = stream.monochrome.into();
    Ok(config)
}

/// The quantiser, 0-63, for a quality.
fn quantizer(quality: u8) -> c_int {
    ((100 - c_int::from(quality)) * 63 + 50) / 100
}

fn check(status: c::aom_codec_err_t) -> Result<()> {
    if status == c::AOM_CODEC_OK {
        return Ok(());
    }
    // SAFETY: returns a static string for any number.
    let reason = unsafe { CStr::from_ptr(c::aom_codec_err_to_string(status)) };
    Err(refused(&reason.to_string_lossy()))
}

fn refused(reason: &str) -> Error {
    Error::Internal(format!("libaom refused to encode: {reason}"))
}
