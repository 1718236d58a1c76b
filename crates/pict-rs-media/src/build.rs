//! Choices made when this crate was built, for diagnostics.

/// One such choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildFeature {
    /// Its name, for people and programs.
    pub name: &'static str,
    /// Whether the better option was chosen.
    pub is_on: bool,
    /// What it means, or how to enable it.
    pub detail: &'static str,
}

/// All of them.
pub fn build_features() -> [BuildFeature; 4] {
    let feature = |name, is_on, on, off| BuildFeature {
        name,
        is_on,
        detail: if is_on { on } else { off },
    };
    [
        feature(
            "JPEG SIMD",
            crate::JPEG_SIMD,
            "assembled",
            "JPEG is slower; on x86-64 install nasm and build again",
        ),
        feature(
            "AVIF by libaom",
            cfg!(feature = "libaom"),
            "the fast encoder",
            "rav1e writes it, in many times the time; build with the feature libaom",
        ),
        feature(
            "HEIC",
            cfg!(feature = "heic"),
            "read",
            "not read; build with the feature heic",
        ),
        feature(
            "SVG",
            cfg!(feature = "svg"),
            "drawn where media.svg.enable is set",
            "not drawn; build with the feature svg",
        ),
    ]
}
