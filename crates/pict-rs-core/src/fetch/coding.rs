//! Content codings of answers. Requests ask for `identity`, but some upstreams compress anyway.

use std::io::Write as _;

use flate2::write::{MultiGzDecoder, ZlibDecoder};
use hyper::header::{self, HeaderMap};
use pict_rs_media::limits::{LimitKind, at_most};

use super::upstream;
use crate::{Error, Result};

/// Bytes decoded at a time. They can grow a thousandfold, and the limit is checked after each
/// piece.
const PIECE: usize = 1024;

/// Decodes the body of an answer.
pub(super) enum Decoder {
    /// The body is the file.
    Identity,
    Gzip(MultiGzDecoder<Vec<u8>>),
    Deflate(ZlibDecoder<Vec<u8>>),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Identity => "identity",
            Self::Gzip(_) => "gzip",
            Self::Deflate(_) => "deflate",
        })
    }
}

impl Decoder {
    /// For the coding that `headers` name.
    ///
    /// # Errors
    /// [`crate::ErrorCode::UpstreamError`] for one that cannot be decoded.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self> {
        let values = headers.get_all(header::CONTENT_ENCODING).into_iter();
        let values = values.map(|value| value.to_str().unwrap_or("unreadable"));
        let codings: Vec<_> = values
            .flat_map(|value| value.split(','))
            .map(|coding| coding.trim().to_ascii_lowercase())
            .filter(|coding| !coding.is_empty() && coding != "identity")
            .collect();
        match codings.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(Self::Identity),
            ["gzip" | "x-gzip"] => Ok(Self::Gzip(MultiGzDecoder::new(Vec::new()))),
            ["deflate"] => Ok(Self::Deflate(ZlibDecoder::new(Vec::new()))),
            _ => Err(upstream(format!(
                "The upstream compressed its answer with {}, although it was asked not to",
                codings.join(", ")
            ))),
        }
    }

    /// Whether `Content-Length` is the size of the file.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self, Self::Identity)
    }

    /// Decodes received bytes. `before` is the number of bytes of the file decoded earlier.
    ///
    /// # Errors
    /// [`crate::ErrorCode::UpstreamError`] for damaged bytes,
    /// [`crate::ErrorCode::ValidateFileSize`] for a file of more than `limit` bytes.
    pub(super) fn decode(&mut self, bytes: &[u8], before: u64, limit: u64) -> Result<Vec<u8>> {
        let mut decoded = Vec::new();
        for piece in bytes.chunks(PIECE) {
            match self {
                Self::Identity => decoded.extend_from_slice(piece),
                Self::Gzip(gzip) => {
                    gzip.write_all(piece).map_err(damaged)?;
                    decoded.append(gzip.get_mut());
                }
                Self::Deflate(deflate) => {
                    deflate.write_all(piece).map_err(damaged)?;
                    decoded.append(deflate.get_mut());
                }
            }
            at_most(LimitKind::FileSize, limit, before + decoded.len() as u64)?;
        }
        Ok(decoded)
    }

    /// Called after all bytes have arrived; returns the rest of the file.
    ///
    /// # Errors
    /// [`crate::ErrorCode::UpstreamError`] when the end is missing.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(Vec::new()),
            Self::Gzip(gzip) => {
                gzip.try_finish().map_err(damaged)?;
                Ok(std::mem::take(gzip.get_mut()))
            }
            Self::Deflate(deflate) => {
                deflate.try_finish().map_err(damaged)?;
                Ok(std::mem::take(deflate.get_mut()))
            }
        }
    }
}

fn damaged(error: std::io::Error) -> Error {
    tracing::debug!(%error, "an upstream's compressed answer cannot be decoded");
    upstream("The upstream's compressed answer is damaged or cut off")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::ErrorCode;
    use flate2::Compression;
    use flate2::read::{GzEncoder, ZlibEncoder};
    use hyper::header::HeaderValue;

    fn decoder(coding: &'static str) -> Result<Decoder> {
        let value = HeaderValue::from_static(coding);
        Decoder::of(&HeaderMap::from_iter([(header::CONTENT_ENCODING, value)]))
    }

    fn compressed(coding: &str, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let read = match coding {
            "deflate" => ZlibEncoder::new(bytes, Compression::fast()).read_to_end(&mut out),
            _ => GzEncoder::new(bytes, Compression::fast()).read_to_end(&mut out),
        };
        read.expect("compressed");
        out
    }

    fn decode(coding: &'static str, bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
        let mut decoder = decoder(coding)?;
        let mut decoded = Vec::new();
        // The result must not depend on how the network splits the bytes.
        for piece in bytes.chunks(7) {
            decoded.extend(decoder.decode(piece, decoded.len() as u64, limit)?);
        }
        decoded.extend(decoder.finish()?);
        Ok(decoded)
    }

    #[test]
    fn each_coding_is_undone_and_a_cut_or_damaged_one_is_told() {
        let file: Vec<u8> = (0..50_000u32).map(|n| (n % 251) as u8).collect();
        for coding in ["gzip", "x-gzip", "GZIP", "deflate", "identity, gzip"] {
            let bytes = compressed(&coding.to_ascii_lowercase(), &file);
            assert_eq!(decode(coding, &bytes, 50_000).expect(coding), file);
            let cut = decode(coding, &bytes[..bytes.len() - 1], 50_000);
            assert_eq!(cut.expect_err("cut").code(), ErrorCode::UpstreamError);
            let wrong = decode(coding, b"this is not compressed at all", 50_000);
            assert_eq!(wrong.expect_err("wrong").code(), ErrorCode::UpstreamError);
        }
        for coding in ["", "identity", "Identity"] {
            assert_eq!(decode(coding, &file, 50_000).expect("as it is"), file);
        }
        for coding in ["br", "zstd", "gzip, gzip", "compress"] {
            let error = decoder(coding).expect_err("unknown");
            assert_eq!(error.code(), ErrorCode::UpstreamError, "{coding}");
        }
    }

    #[test]
    fn a_small_answer_that_unfolds_is_stopped_at_the_limit() {
        let zeros = vec![0; 100 << 20];
        let bytes = compressed("gzip", &zeros);
        assert!(bytes.len() < 1 << 20);
        let mut decoder = decoder("gzip").expect("known");
        let error = decoder.decode(&bytes, 0, 1 << 20).expect_err("too large");
        assert_eq!(error.code(), ErrorCode::ValidateFileSize);
        // It stopped soon after the limit.
        let found = error.user_message().and_then(|told| told.found);
        assert!(found.is_some_and(|found| found < 4 << 20), "{found:?}");
    }
}
