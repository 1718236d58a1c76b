//! AVIF, still and animated: AV1 pictures in boxes.

mod encode;

pub(crate) use encode::{AnimationEncoder, Encoder, Settings};
