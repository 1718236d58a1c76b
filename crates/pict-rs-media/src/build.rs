//! What was decided when this crate was built, for whoever has to explain it.

/// One such decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildFeature {
    /// Its name, for people and programs.
    pub name: &'static str,
    /// Whether the better choice was made.
    pub is_on: bool,
    /// What it means, or how to get it.
    pub detail: &'static str,
}

/// All of them.
pub fn build_features() -> Vec<BuildFeature> {
    let jpeg = BuildFeature {
        name: "JPEG SIMD",
        is_on: crate::JPEG_SIMD,
        detail: if crate::JPEG_SIMD {
            "assembled"
        } else {
            "JPEG is slower; on x86-64 install nasm and build again"
        },
    };
    let avif = BuildFeature {
        name: "AVIF by libaom",
        is_on: cfg!(feature = "libaom"),
        detail: if cfg!(feature = "libaom") {
            "the fast encoder"
        } else {
            "rav1e writes it, in many times the time; build with the feature libaom"
        },
    };
    let heic = BuildFeature {
        name: "HEIC",
        is_on: cfg!(feature = "heic"),
        detail: if cfg!(feature = "heic") {
            "read"
        } else {
            "not read; build with the feature heic"
        },
    };
    let svg = BuildFeature {
        name: "SVG",
        is_on: cfg!(feature = "svg"),
        detail: if cfg!(feature = "svg") {
            "drawn where media.svg.enable is set"
        } else {
            "not drawn; build with the feature svg"
        },
    };
    vec![jpeg, avif, heic, svg]
}
