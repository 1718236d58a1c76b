//! The only module that calls libjpeg (mozjpeg's), with the only unsafe code of this codec.
//!
//! libjpeg reports a fatal error by calling `error_exit`, which must not return. Ours unwinds
//! through the C frames (they are built with `-fexceptions`) without running the panic hook, and
//! [`guard`] turns that into a [`Failure`]. Warnings about lost pixels are raised in the same way,
//! because libjpeg would continue and fill the rest with grey.

#![expect(unsafe_code, reason = "libjpeg is a C library")]

use std::ffi::{c_int, c_ulong, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::{mem, ptr};

use mozjpeg_sys as ffi;

use super::container::corrupt;
use super::huffman::Statistics;
use super::scan::Means;
use crate::{ColourModel, Control, Error, Result};

/// An error of libjpeg, by its own code.
pub(super) enum Failure {
    Cancelled,
    Message { code: c_int, text: String },
}

impl Failure {
    /// For errors caused by the file.
    fn into_corrupt(self) -> Error {
        match self {
            Self::Cancelled => Error::Cancelled,
            Self::Message { code, text } if code == ffi::JERR_OUT_OF_MEMORY => {
                Error::Internal(text)
            }
            Self::Message { text, .. } => corrupt(text),
        }
    }

    /// For errors caused by us.
    fn into_internal(self) -> Error {
        match self {
            Self::Cancelled => Error::Cancelled,
            Self::Message { text, .. } => Error::Internal(text),
        }
    }
}

/// Reads rows of a JPEG file.
pub(super) struct Decompress<'a> {
    info: Box<ffi::jpeg_decompress_struct>,
    hooks: Shared<Hooks>,
    /// libjpeg reads from the source for as long as this lives.
    _source: PhantomData<&'a [u8]>,
}

impl<'a> Decompress<'a> {
    /// Reads everything before the first scan.
    pub(super) fn new(source: &'a [u8], control: &'a Control) -> Result<Self> {
        Self::with(source, control, None)
    }

    /// As `new`; if `noted` is given, lost pixels are recorded there instead of failing.
    fn with(source: &'a [u8], control: &'a Control, noted: Option<Loss>) -> Result<Self> {
        let mut decompress = Self {
            // SAFETY: plain data, raw pointers and enums that have a variant 0.
            info: Box::new(unsafe { mem::zeroed() }),
            hooks: Shared::new(Hooks::new(noted)),
            _source: PhantomData,
        };
        let info = &mut *decompress.info;
        // SAFETY: a field of a live allocation.
        info.common.err = unsafe { &raw mut (*decompress.hooks.0).errors };
        guard(|| {
            // SAFETY: `info` is zeroed, its error manager is set up; both live in boxes.
            unsafe { ffi::jpeg_create_decompress(info) }
        })
        .map_err(Failure::into_internal)?;
        // Only now, because creation clears everything but the error manager.
        // SAFETY: a field of a live allocation.
        info.common.progress = unsafe { &raw mut (*decompress.hooks.0).progress };
        info.common.client_data = ptr::from_ref(control).cast_mut().cast();
        let info = &mut *decompress.info;
        guard(|| {
            // SAFETY: `info` was created; `source` outlives it by the lifetime of the struct.
            unsafe {
                ffi::jpeg_mem_src(info, source.as_ptr(), source.len() as c_ulong);
                ffi::jpeg_read_header(info, 1);
            }
        })
        .map_err(Failure::into_corrupt)?;
        Ok(decompress)
    }

    /// Chooses size and layout; reads all scans of a file that has several. `shrink` is 1, 2, 4 or
    /// 8. Returns width and height in pixels.
    pub(super) fn start(&mut self, shrink: u32, colour: ColourModel) -> Result<(u32, u32)> {
        let info = &mut *self.info;
        info.scale_num = 1;
        info.scale_denom = shrink;
        info.out_color_space = match colour {
            ColourModel::Gray => ffi::JCS_GRAYSCALE,
            ColourModel::Rgb => ffi::JCS_RGB,
            ColourModel::Cmyk => ffi::JCS_CMYK,
        };
        // Smoothing estimates coefficients of later scans, but there are none.
        info.do_block_smoothing = 0;
        guard(|| {
            // SAFETY: the header was read, the fields set are those meant to be set here.
            unsafe { ffi::jpeg_start_decompress(info) }
        })
        .map_err(Failure::into_corrupt)?;
        Ok((info.output_width, info.output_height))
    }

    /// Whether its components are luma and chroma; otherwise they are red, green and blue, grey, or inks.
    pub(super) fn is_ycc(&self) -> bool {
        self.info.jpeg_color_space == ffi::JCS_YCbCr
    }

    /// Bytes per row; only valid after `start`.
    pub(super) fn row_len(&self) -> usize {
        self.info.output_width as usize * self.info.output_components as usize
    }

    /// How many rows are decoded together; only valid after `start`.
    pub(super) fn group(&self) -> usize {
        (self.info.rec_outbuf_height as usize).clamp(1, MAX_GROUP)
    }

    /// Fills `buffer` with the rows that are ready, at least one, and returns their number. Must
    /// not be called after the last row.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut rows = [ptr::null_mut(); MAX_GROUP];
        let mut count = 0;
        for (row, bytes) in rows.iter_mut().zip(buffer.chunks_exact_mut(self.row_len())) {
            *row = bytes.as_mut_ptr();
            count += 1;
        }
        let info = &mut *self.info;
        let read = guard(|| {
            // SAFETY: `count` pointers are set, each to a whole row inside `buffer`.
            unsafe { ffi::jpeg_read_scanlines(info, rows.as_mut_ptr(), count) }
        })
        .map_err(Failure::into_corrupt)?;
        if read == 0 {
            return Err(corrupt("it ends too early"));
        }
        Ok(read as usize)
    }

    /// The recorded losses, after the coefficients were read.
    fn loss(&self) -> Loss {
        // SAFETY: a live allocation that is not borrowed between calls.
        let mut loss = unsafe { (*self.hooks.0).noted }.unwrap_or_default();
        let bits = self.info.coef_bits.cast::<[c_int; 64]>();
        if !bits.is_null() {
            // SAFETY: libjpeg keeps one such array per component for a progressive file, and null
            // for others.
            let bits =
                unsafe { std::slice::from_raw_parts(bits, self.info.num_components as usize) };
            // 0 is complete, positive values are missing bits, -1 means that nothing was received.
            loss.is_coarse = bits.iter().flatten().any(|bits| *bits != 0);
        }
        loss
    }
}

/// `rec_outbuf_height` is at most the largest vertical sampling factor.
const MAX_GROUP: usize = 4;

impl Drop for Decompress<'_> {
    fn drop(&mut self) {
        // SAFETY: destroying is allowed in every state, including after a failed call and when
        // creation failed (the memory manager's pointer is null then).
        unsafe { ffi::jpeg_destroy_decompress(&mut self.info) }
    }
}

/// Writes a JPEG file into memory.
pub(super) struct Compress {
    info: Box<ffi::jpeg_compress_struct>,
    hooks: Shared<Hooks>,
    destination: Shared<Destination>,
}

impl Compress {
    fn new() -> Result<Self> {
        let mut compress = Self {
            // SAFETY: plain data, raw pointers and enums that have a variant 0.
            info: Box::new(unsafe { mem::zeroed() }),
            hooks: Shared::new(Hooks::new(None)),
            destination: Shared::new(Destination::new()),
        };
        let info = &mut *compress.info;
        // SAFETY: a field of a live allocation.
        info.common.err = unsafe { &raw mut (*compress.hooks.0).errors };
        guard(|| {
            // SAFETY: `info` is zeroed, its error manager is set up; both live in boxes.
            unsafe { ffi::jpeg_create_compress(info) }
        })
        .map_err(Failure::into_internal)?;
        info.dest = compress.destination.0.cast();
        guard(|| {
            // SAFETY: `info` was created. The parameter exists in this library.
            unsafe {
                ffi::jpeg_c_set_int_param(
                    info,
                    ffi::JINT_COMPRESS_PROFILE,
                    ffi::JCP_FASTEST as c_int,
                );
            }
        })
        .map_err(Failure::into_internal)?;
        Ok(compress)
    }

    /// Starts a baseline encoder for rows of 1 (grey), 3 (sRGB) or 4 (inverted CMYK) bytes a pixel.
    pub(super) fn start(
        (width, height): (u32, u32),
        colour: ColourModel,
        quality: u8,
        full_chroma: bool,
    ) -> Result<Self> {
        let mut compress = Self::new()?;
        let info = &mut *compress.info;
        info.image_width = width;
        info.image_height = height;
        (info.input_components, info.in_color_space) = match colour {
            ColourModel::Gray => (1, ffi::JCS_GRAYSCALE),
            ColourModel::Rgb => (3, ffi::JCS_RGB),
            ColourModel::Cmyk => (4, ffi::JCS_CMYK),
        };
        guard(|| {
            // SAFETY: the fields that describe the picture are set; after the defaults there
            // is at least one component.
            unsafe {
                ffi::jpeg_set_defaults(info);
                ffi::jpeg_set_quality(info, quality.into(), 1);
                if full_chroma {
                    (*info.comp_info).h_samp_factor = 1;
                    (*info.comp_info).v_samp_factor = 1;
                }
                ffi::jpeg_start_compress(info, 1);
            }
        })
        .map_err(Failure::into_internal)?;
        Ok(compress)
    }

    /// Encodes one row.
    pub(super) fn write(&mut self, row: &[u8]) -> Result<()> {
        let info = &mut *self.info;
        let expected = info.image_width as usize * info.input_components as usize;
        if row.len() != expected {
            return Err(Error::Internal("a row has the wrong length".into()));
        }
        let rows = [row.as_ptr()];
        guard(|| {
            // SAFETY: one pointer, to a row whose length was checked.
            unsafe { ffi::jpeg_write_scanlines(info, rows.as_ptr(), 1) }
        })
        .map_err(Failure::into_internal)?;
        Ok(())
    }

    /// Finishes the file and returns it.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        let info = &mut *self.info;
        guard(|| {
            // SAFETY: compression was started; libjpeg checks that all rows were written.
            unsafe { ffi::jpeg_finish_compress(info) }
        })
        .map_err(Failure::into_internal)?;
        Ok(self.bytes())
    }

    /// The written bytes; only valid after writing has ended.
    fn bytes(&mut self) -> Vec<u8> {
        // SAFETY: a live allocation that is not borrowed between calls.
        mem::take(unsafe { &mut (*self.destination.0).bytes })
    }
}

impl Drop for Compress {
    fn drop(&mut self) {
        // SAFETY: as for `Decompress`.
        unsafe { ffi::jpeg_destroy_compress(&mut self.info) }
    }
}

/// How blocks are moved: first the axes are swapped, then the result is mirrored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) transpose: bool,
    pub(super) mirror_x: bool,
    pub(super) mirror_y: bool,
}

/// A file whose coefficients were moved.
pub(super) struct Turned {
    pub(super) bytes: Vec<u8>,
    /// The first coefficients of all blocks, where they were before.
    pub(super) means: Vec<Means>,
}

/// Moves the DCT coefficients of a file and writes them again, with `markers` (code and payload)
/// after the header. Returns `None` if libjpeg can read but not write the file.
///
/// The caller must ensure that a mirrored axis is a whole number of blocks.
pub(super) fn turn(
    source: &[u8],
    how: Move,
    progressive: bool,
    adobe: bool,
    markers: &[(u8, &[u8])],
    control: &Control,
) -> Result<Option<Turned>> {
    let mut from = Decompress::new(source, control)?;
    let mut block = BlockMove::new(how);
    let moved = moved_coefficients(&mut from.info, &mut block).map_err(Failure::into_corrupt)?;
    if !block.fits() {
        return Ok(None);
    }
    let written = write(&mut from, moved, how, progressive, adobe, markers, control)?;
    Ok(written.map(|bytes| Turned {
        bytes,
        means: block.means,
    }))
}

/// Missing data, as reported by the decoder.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Loss {
    /// Scan (the first is 1) and row of units where pixels were first missing.
    pub(super) first: Option<(u32, u32)>,
    /// Whether bits of coefficients announced by earlier scans are missing.
    pub(super) is_coarse: bool,
}

/// Writes the coefficients of a damaged file again. Lost ones are zero, which is gray; if `blanks`
/// says so, everything from the first lost row of units on is white instead. Returns `None` if
/// libjpeg can read but not write the file.
pub(super) fn rewrite(
    source: &[u8],
    progressive: bool,
    adobe: bool,
    markers: &[(u8, &[u8])],
    blanks: impl Fn(&Loss) -> bool,
    control: &Control,
) -> Result<Option<(Vec<u8>, Loss)>> {
    let how = Move {
        transpose: false,
        mirror_x: false,
        mirror_y: false,
    };
    let mut from = Decompress::with(source, control, Some(Loss::default()))?;
    let mut block = BlockMove::new(how);
    block.clamps = true;
    let moved = moved_coefficients(&mut from.info, &mut block).map_err(Failure::into_corrupt)?;
    let loss = from.loss();
    if let Some((_, row)) = loss.first.filter(|_| blanks(&loss)) {
        whiten(&mut from.info, &moved, row).map_err(Failure::into_internal)?;
    }
    let written = write(&mut from, moved, how, progressive, adobe, markers, control)?;
    Ok(written.map(|bytes| (bytes, loss)))
}

/// Writes moved coefficients. Returns `None` if libjpeg cannot write the file.
fn write(
    from: &mut Decompress<'_>,
    moved: Arrays,
    how: Move,
    progressive: bool,
    adobe: bool,
    markers: &[(u8, &[u8])],
    control: &Control,
) -> Result<Option<Vec<u8>>> {
    control.check()?;
    let mut to = Compress::new()?;
    to.info.common.progress = from.info.common.progress;
    to.info.common.client_data = from.info.common.client_data;
    match write_moved(
        &mut from.info,
        &mut to.info,
        moved,
        how,
        progressive,
        adobe,
        markers,
    ) {
        Ok(()) => Ok(Some(to.bytes())),
        Err(Failure::Cancelled) => Err(Error::Cancelled),
        // For example because of quantisation tables that change between scans.
        Err(Failure::Message { .. }) => Ok(None),
    }
}

/// Rows of blocks that the writer requests at once: the largest sampling factor.
const ROWS: u32 = 4;

/// libjpeg's own arrays of blocks, one per component.
type Arrays = [*mut ffi::jvirt_barray_control; ffi::NUM_QUANT_TBLS];

/// Reads all coefficients and moves them. Afterwards `block` tells whether they can be written.
fn moved_coefficients(
    info: &mut ffi::jpeg_decompress_struct,
    block: &mut BlockMove,
) -> std::result::Result<Arrays, Failure> {
    let count = info.num_components as usize;
    let how = block.how;
    let mut arrays: Arrays = [ptr::null_mut(); ffi::NUM_QUANT_TBLS];
    guard(|| {
        // SAFETY: the header was read, so `comp_info` holds `num_components` (checked to be
        // at most 4) items. Arrays are requested before `jpeg_read_coefficients`, which makes
        // them real, and live as long as `info`. Blocks are accessed below the sizes that the
        // arrays were requested with, a row at a time, and the two rows are in different arrays.
        unsafe {
            let memory = &*info.common.mem;
            let (Some(request), Some(access)) =
                (memory.request_virt_barray, memory.access_virt_barray)
            else {
                return;
            };
            // Rounded up to whole MCUs, because the writer accesses those.
            let round = |blocks: u32, factor: c_int| blocks.next_multiple_of(factor as u32);
            for (index, array) in arrays.iter_mut().enumerate().take(count) {
                let component = &*info.comp_info.add(index);
                let (mut width, mut height) = (
                    round(component.width_in_blocks, component.h_samp_factor),
                    round(component.height_in_blocks, component.v_samp_factor),
                );
                if how.transpose {
                    (width, height) = (height, width);
                }
                *array = request(&mut info.common, ffi::JPOOL_IMAGE, 1, width, height, ROWS);
            }
            let read = ffi::jpeg_read_coefficients(info);
            for (index, &target) in arrays.iter().enumerate().take(count) {
                let source = *read.add(index);
                let component = &*info.comp_info.add(index);
                let (width, height) = (component.width_in_blocks, component.height_in_blocks);
                let (out_width, out_height) = if how.transpose {
                    (height, width)
                } else {
                    (width, height)
                };
                let stride = width as usize;
                let mut means = vec![0; stride * height as usize];
                let common = &raw mut info.common;
                for y in 0..out_height {
                    let to = *access(&mut *common, target, y, 1, 1);
                    let from_y = if how.mirror_y { out_height - 1 - y } else { y };
                    if how.transpose {
                        for x in 0..out_width {
                            let from_x = if how.mirror_x { out_width - 1 - x } else { x };
                            let from = *access(&mut *common, source, from_x, 1, 0);
                            let from = &*from.add(from_y as usize);
                            means[from_x as usize * stride + from_y as usize] = from[0];
                            block.apply(from, &mut *to.add(x as usize));
                        }
                    } else {
                        let from = *access(&mut *common, source, from_y, 1, 0);
                        for x in 0..out_width {
                            let from_x = if how.mirror_x { out_width - 1 - x } else { x };
                            let from = &*from.add(from_x as usize);
                            means[from_y as usize * stride + from_x as usize] = from[0];
                            block.apply(from, &mut *to.add(x as usize));
                        }
                    }
                }
                block.means.push(Means {
                    sampling: (
                        component.h_samp_factor as u32,
                        component.v_samp_factor as u32,
                    ),
                    step: (component.quant_table.as_ref()).map_or(0, |table| table.quantval[0]),
                    stride,
                    values: means,
                });
            }
        }
    })?;
    Ok(arrays)
}

/// Makes all units from `row` on white.
fn whiten(
    info: &mut ffi::jpeg_decompress_struct,
    arrays: &Arrays,
    row: u32,
) -> std::result::Result<(), Failure> {
    let count = info.num_components as usize;
    guard(|| {
        // SAFETY: as in `moved_coefficients`; the arrays were requested with the sizes of their
        // components, rounded up. A quantisation table is null or whole.
        unsafe {
            let Some(access) = (*info.common.mem).access_virt_barray else {
                return;
            };
            for (index, &array) in arrays.iter().enumerate().take(count) {
                let component = &*info.comp_info.add(index);
                let is_light = match info.jpeg_color_space {
                    ffi::JCS_GRAYSCALE | ffi::JCS_YCbCr => index == 0,
                    ffi::JCS_YCCK => index == 0 || index == 3,
                    _ => true,
                };
                let mut white = [0; 64];
                if let Some(table) = component.quant_table.as_ref().filter(|_| is_light) {
                    let step = i16::try_from(table.quantval[0].max(1)).unwrap_or(i16::MAX);
                    white[0] = (MAX_DC - 1).div_euclid(step) + 1;
                    white[0] = white[0].min(MAX_DC - 1);
                }
                let first = row.saturating_mul(component.v_samp_factor as u32);
                for y in first..component.height_in_blocks {
                    let blocks = *access(&mut info.common, array, y, 1, 1);
                    for x in 0..component.width_in_blocks {
                        *blocks.add(x as usize) = white;
                    }
                }
            }
        }
    })
}

/// How to move the coefficients within a block.
struct BlockMove {
    how: Move,
    /// Mirroring a block negates the coefficients of its odd (antisymmetric) waves.
    signs: ffi::JBLOCK,
    /// Whether values that cannot occur in an 8-bit picture are clamped.
    clamps: bool,
    fits: bool,
    /// The union of all bits in the sizes of AC coefficients.
    ac_bits: u16,
    /// The first coefficients of all blocks, where they were before, by component.
    means: Vec<Means>,
}

/// The DC coefficient of a black block at full quality is the negative of this.
const MAX_DC: i16 = 1024;

impl BlockMove {
    fn new(how: Move) -> Self {
        let mut signs = [1; 64];
        for (at, sign) in signs.iter_mut().enumerate() {
            let (row, column) = (at / 8, at % 8);
            if (how.mirror_x && column % 2 == 1) != (how.mirror_y && row % 2 == 1) {
                *sign = -1;
            }
        }
        Self {
            how,
            signs,
            clamps: false,
            fits: true,
            ac_bits: 0,
            means: Vec::new(),
        }
    }

    fn apply(&mut self, from: &ffi::JBLOCK, to: &mut ffi::JBLOCK) {
        if self.how.transpose {
            for row in 0..8 {
                for column in 0..8 {
                    to[row * 8 + column] = from[column * 8 + row];
                }
            }
        } else {
            *to = *from;
        }
        for (value, sign) in to.iter_mut().zip(self.signs) {
            *value = value.wrapping_mul(sign);
        }
        if self.clamps {
            to[0] = to[0].clamp(-MAX_DC, MAX_DC - 1);
            for value in &mut to[1..] {
                *value = (*value).clamp(1 - MAX_DC, MAX_DC - 1);
            }
        }
        self.fits &= (-MAX_DC..MAX_DC).contains(&to[0]);
        self.ac_bits |= to[1..]
            .iter()
            .fold(0, |bits, value| bits | value.unsigned_abs());
    }

    /// Whether all coefficients can occur in an 8-bit picture. libjpeg's vectorised coder relies on
    /// that, and would write a broken file otherwise.
    fn fits(&self) -> bool {
        self.fits && self.ac_bits < MAX_DC as u16
    }
}

fn write_moved(
    from: &mut ffi::jpeg_decompress_struct,
    to: &mut ffi::jpeg_compress_struct,
    mut arrays: Arrays,
    how: Move,
    progressive: bool,
    adobe: bool,
    markers: &[(u8, &[u8])],
) -> std::result::Result<(), Failure> {
    guard(|| {
        // SAFETY: both objects are created; `from` has read its coefficients, into which
        // `arrays` (one per component) point. `comp_info` holds `num_components` items,
        // quantisation tables are null or whole.
        unsafe {
            ffi::jpeg_copy_critical_parameters(from, to);
            if to.num_components == 4 {
                // The marker says whether inks are inverted, so it must be neither added nor
                // dropped.
                to.write_Adobe_marker = adobe.into();
            }
            let components =
                std::slice::from_raw_parts_mut(to.comp_info, to.num_components as usize);
            if let [only] = components {
                // A single component never has MCUs of several blocks, whatever it claims.
                (only.h_samp_factor, only.v_samp_factor) = (1, 1);
            }
            if how.transpose {
                mem::swap(&mut to.image_width, &mut to.image_height);
                mem::swap(&mut to.X_density, &mut to.Y_density);
                for component in components {
                    mem::swap(&mut component.h_samp_factor, &mut component.v_samp_factor);
                }
                for table in to.quant_tbl_ptrs {
                    if let Some(table) = table.as_mut() {
                        transpose(&mut table.quantval);
                    }
                }
            }
            if progressive {
                ffi::jpeg_simple_progression(to);
                to.optimize_coding = 1;
            } else {
                fit_tables(from, to, &arrays, how);
            }
            ffi::jpeg_write_coefficients(to, arrays.as_mut_ptr());
            for (marker, payload) in markers {
                ffi::jpeg_write_marker(
                    to,
                    (*marker).into(),
                    payload.as_ptr(),
                    payload.len() as u32,
                );
            }
            ffi::jpeg_finish_compress(to);
        }
    })
}

/// One in this many rows of blocks is sampled for the Huffman tables.
const SAMPLED_ROWS: usize = 4;

/// Sets Huffman tables that fit the coefficients.
///
/// # Safety
/// `to` must have its default tables and the components of `from`, `arrays` their moved
/// coefficients.
unsafe fn fit_tables(
    from: &mut ffi::jpeg_decompress_struct,
    to: &mut ffi::jpeg_compress_struct,
    arrays: &Arrays,
    how: Move,
) {
    let mut statistics = [const { None }; ffi::NUM_QUANT_TBLS];
    // SAFETY: by the caller; rows are accessed within the sizes of the arrays, and tables are
    // checked for null.
    unsafe {
        let Some(access) = (*from.common.mem).access_virt_barray else {
            return;
        };
        for (index, &array) in arrays.iter().enumerate().take(to.num_components as usize) {
            let component = &*from.comp_info.add(index);
            let (mut width, mut height) = (component.width_in_blocks, component.height_in_blocks);
            if how.transpose {
                mem::swap(&mut width, &mut height);
            }
            let table = (*to.comp_info.add(index)).dc_tbl_no as usize;
            let Some(slot) = statistics.get_mut(table) else {
                return;
            };
            let statistics = slot.get_or_insert_with(Statistics::new);
            for y in (0..height).step_by(SAMPLED_ROWS) {
                let row = *access(&mut from.common, array, y, 1, 0);
                let row = std::slice::from_raw_parts(row, width as usize);
                let mut before = 0;
                for block in row {
                    statistics.count(block, before);
                    before = block[0];
                }
            }
        }
        let tables = to.dc_huff_tbl_ptrs.iter().zip(to.ac_huff_tbl_ptrs);
        for (statistics, (dc, ac)) in statistics.into_iter().zip(tables) {
            let (Some(statistics), Some(dc), Some(ac)) = (statistics, dc.as_mut(), ac.as_mut())
            else {
                continue;
            };
            for (table, fitted) in [(dc, statistics.dc()), (ac, statistics.ac())] {
                table.bits = fitted.bits;
                table.huffval = fitted.symbols;
            }
        }
    }
}

fn transpose(table: &mut [u16; 64]) {
    for row in 0..8 {
        for column in 0..row {
            table.swap(row * 8 + column, column * 8 + row);
        }
    }
}

/// A value that C keeps a pointer to. No Rust reference to it outlives a call, so the two are never
/// used at the same time.
struct Shared<T>(*mut T);

impl<T> Shared<T> {
    fn new(value: T) -> Self {
        Self(Box::into_raw(Box::new(value)))
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw`, and the owner destroys the object that points here
        // before its fields.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// The callbacks of both directions. libjpeg points to the first field.
#[repr(C)]
struct Hooks {
    errors: ffi::jpeg_error_mgr,
    progress: ffi::jpeg_progress_mgr,
    /// Where lost pixels are recorded; without it they are an error.
    noted: Option<Loss>,
}

impl Hooks {
    fn new(noted: Option<Loss>) -> Self {
        let mut hooks = Self {
            // SAFETY: plain data, raw pointers and optional function pointers.
            errors: unsafe { mem::zeroed() },
            // SAFETY: as above.
            progress: unsafe { mem::zeroed() },
            noted,
        };
        // SAFETY: only initialises the given struct.
        unsafe { ffi::jpeg_std_error(&mut hooks.errors) };
        hooks.errors.error_exit = Some(error_exit);
        hooks.errors.emit_message = Some(emit_message);
        hooks.errors.output_message = Some(output_message);
        hooks.progress.progress_monitor = Some(progress_monitor);
        hooks
    }
}

/// Runs calls into libjpeg. Other panics are passed on.
fn guard<T>(calls: impl FnOnce() -> T) -> std::result::Result<T, Failure> {
    // The libjpeg objects that a failed call leaves behind are only destroyed.
    catch_unwind(AssertUnwindSafe(calls)).map_err(|payload| match payload.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(other) => resume_unwind(other),
    })
}

/// The most that C writes into the buffer for a message.
const JMSG_LENGTH_MAX: usize = 200;

#[cold]
fn raise(info: &mut ffi::jpeg_common_struct) -> ! {
    let mut text = [0_u8; JMSG_LENGTH_MAX];
    // SAFETY: `err` was set before any other call.
    let errors = unsafe { &*info.err };
    if let Some(format) = errors.format_message {
        // The binding declares 80 bytes that are only read; C writes up to 200.
        // SAFETY: the same function with its signature in C, and a buffer of that size.
        unsafe {
            let format: unsafe extern "C-unwind" fn(
                &mut ffi::jpeg_common_struct,
                *mut [u8; JMSG_LENGTH_MAX],
            ) = mem::transmute(format);
            format(info, &raw mut text);
        }
    }
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    // `resume_unwind` does not run the panic hook, so nothing is printed.
    resume_unwind(Box::new(Failure::Message {
        code: errors.msg_code,
        text: String::from_utf8_lossy(text).into_owned(),
    }))
}

unsafe extern "C-unwind" fn error_exit(info: &mut ffi::jpeg_common_struct) {
    raise(info)
}

/// Negative levels are warnings, others are trace messages.
unsafe extern "C-unwind" fn emit_message(info: &mut ffi::jpeg_common_struct, level: c_int) {
    if level >= 0 {
        return;
    }
    // SAFETY: `err` was set before any other call.
    let code = unsafe { (*info.err).msg_code };
    let loses_pixels = [
        ffi::JWRN_HIT_MARKER,
        ffi::JWRN_HUFF_BAD_CODE,
        ffi::JWRN_MUST_RESYNC,
    ];
    if !loses_pixels.contains(&code) {
        return;
    }
    let reader = ptr::from_mut(info).cast::<ffi::jpeg_decompress_struct>();
    // SAFETY: `err` is the first field of `Hooks` in every object that is made here, and C does not
    // access what follows it. Only decompression warns about lost pixels, and its object begins
    // with the common fields.
    let noted = unsafe { &mut (*info.err.cast::<Hooks>()).noted };
    match noted {
        None => raise(info),
        Some(loss) if code == ffi::JWRN_HIT_MARKER && loss.first.is_none() => {
            // SAFETY: as above.
            let (scan, row) = unsafe { ((*reader).input_scan_number, (*reader).input_iMCU_row) };
            loss.first = Some((u32::try_from(scan).unwrap_or(0), row));
        }
        Some(_) => {}
    }
}

unsafe extern "C-unwind" fn output_message(_: &mut ffi::jpeg_common_struct) {}

unsafe extern "C-unwind" fn progress_monitor(info: &mut ffi::jpeg_common_struct) {
    // SAFETY: set to a `Control` that outlives the object, or null.
    let control = unsafe { info.client_data.cast::<Control>().as_ref() };
    if control.is_some_and(|control| control.check().is_err()) {
        resume_unwind(Box::new(Failure::Cancelled));
    }
}

/// A libjpeg destination that grows a vector. libjpeg only accesses the first field.
#[repr(C)]
struct Destination {
    manager: ffi::jpeg_destination_mgr,
    bytes: Vec<u8>,
}

const FIRST_BYTES: usize = 64 << 10;

impl Destination {
    fn new() -> Self {
        Self {
            manager: ffi::jpeg_destination_mgr {
                next_output_byte: ptr::null_mut(),
                free_in_buffer: 0,
                init_destination: Some(init_destination),
                empty_output_buffer: Some(empty_output_buffer),
                term_destination: Some(term_destination),
            },
            bytes: Vec::new(),
        }
    }

    /// Makes room after the existing bytes.
    fn grow(&mut self, by: usize) {
        let old = self.bytes.len();
        self.bytes.resize(old + by, 0);
        let room = &mut self.bytes[old..];
        self.manager.next_output_byte = room.as_mut_ptr();
        self.manager.free_in_buffer = room.len();
    }
}

/// # Safety
/// `info.dest` must point to a [`Destination`].
unsafe fn destination(info: &mut ffi::jpeg_compress_struct) -> &mut Destination {
    // SAFETY: by the caller.
    unsafe { &mut *info.dest.cast::<c_void>().cast::<Destination>() }
}

unsafe extern "C-unwind" fn init_destination(info: &mut ffi::jpeg_compress_struct) {
    // SAFETY: `Compress::new` sets no other destination.
    unsafe { destination(info) }.grow(FIRST_BYTES);
}

/// Called when the buffer is full; the fields with the fill level must be ignored.
unsafe extern "C-unwind" fn empty_output_buffer(info: &mut ffi::jpeg_compress_struct) -> c_int {
    // SAFETY: as above.
    let destination = unsafe { destination(info) };
    destination.grow(destination.bytes.len());
    1
}

unsafe extern "C-unwind" fn term_destination(info: &mut ffi::jpeg_compress_struct) {
    // SAFETY: as above.
    let destination = unsafe { destination(info) };
    let unused = destination.manager.free_in_buffer;
    destination.bytes.truncate(destination.bytes.len() - unused);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_that_no_8_bit_picture_has_are_not_written() {
        let fits = |at: usize, value: i16| {
            let mut block = BlockMove::new(Move {
                transpose: true,
                mirror_x: true,
                mirror_y: false,
            });
            let mut from = [0; 64];
            from[at] = value;
            let mut to = [0; 64];
            block.apply(&from, &mut to);
            block.apply(&[0; 64], &mut to);
            block.fits()
        };
        assert!(fits(0, 1023) && fits(0, -1024) && fits(9, 1023) && fits(9, -1023));
        assert!(!fits(0, 1024) && !fits(0, -1025) && !fits(63, 1024) && !fits(63, -1024));
        assert!(!fits(1, i16::MIN) && !fits(0, i16::MIN) && !fits(0, i16::MAX));
    }
}
