//! Blends pixels of a frame over those of a canvas.

/// Blends straight-alpha RGBA pixels over others.
pub(crate) fn blend_row(under: &mut [u8], over: &[u8]) {
    for (under, over) in under.chunks_exact_mut(4).zip(over.chunks_exact(4)) {
        match over[3] {
            0 => {}
            255 => under.copy_from_slice(over),
            alpha => {
                let alpha = u32::from(alpha);
                // In units of 1/255², so that rounding happens only at the end.
                let (over_weight, under_weight) =
                    (alpha * 255, u32::from(under[3]) * (255 - alpha));
                let total = over_weight + under_weight;
                for (under, over) in under[..3].iter_mut().zip(over) {
                    let sum = u32::from(*over) * over_weight + u32::from(*under) * under_weight;
                    *under = ((sum + total / 2) / total) as u8;
                }
                under[3] = ((total + 127) / 255) as u8;
            }
        }
    }
}
