//! The limits of uploads: for admins as in the settings, for everyone else as the numbers that a
//! client needs before it uploads.

use actix_web::{HttpResponse, web};
use pict_rs_core::config::MediaConfig;
use pict_rs_core::helper::Helper;
use pict_rs_core::{Config, Context};
use pict_rs_media::limits::Limits;
use pict_rs_media::{Foreign, Format, Kind, OutputFormat};
use serde_json::{Value, json};

use super::requested_variant::AUTO;
use crate::load::without_password;

/// Bytes in a MiB, which the settings call MB.
const MIB: u64 = 1024 * 1024;

/// `GET /internal/limits`: the section `media` of the effective settings.
pub async fn internal(ctx: web::Data<Context>) -> HttpResponse {
    let mut media = json!(ctx.config.media);
    leave_unset_out(&mut media);
    // Clients expect this key even if it is not set.
    let validation = ctx.config.media.external_validation.as_deref();
    media["external_validation"] = validation.map(without_password).into();
    HttpResponse::Ok().json(media)
}

/// `GET /image/limits`
pub async fn public(ctx: web::Data<Context>) -> HttpResponse {
    let has = |helper| ctx.helpers.path(helper).is_some();
    HttpResponse::Ok().json(for_clients(&ctx.config, has))
}

fn for_clients(config: &Config, has: impl Fn(Helper) -> bool) -> Value {
    let media = &config.media;
    let ceiling = media.max_file_size.saturating_mul(MIB);
    let kind = |kind: Kind, limits: Limits| {
        json!({
            "max_width": limits.max_width,
            "max_height": limits.max_height,
            "max_area": limits.max_area,
            "max_file_size": limits.max_file_size.min(ceiling),
            "content_types": content_types(kind, media, has(Helper::Magick)),
        })
    };
    let mut animation = kind(Kind::Animation, media.animation.limits());
    animation["max_frame_count"] = media.animation.max_frame_count.into();
    let mut extensions = OutputFormat::ALL.map(OutputFormat::extension).to_vec();
    extensions.push(AUTO);
    let mut video = kind(Kind::Video, media.video.limits());
    video["max_frame_count"] = media.video.max_frame_count.into();
    video["enabled"] = (media.video.enable && has(Helper::Ffmpeg)).into();
    json!({
        "msg": "ok",
        "max_file_count": config.server.max_file_count,
        "max_file_size": ceiling,
        "upload_timeout": config.server.upload_timeout.0,
        "read_only": config.server.read_only,
        "image": kind(Kind::Image, media.image.limits()),
        "animation": animation,
        "video": video,
        "process": { "extensions": extensions, "operations": media.filters },
    })
}

/// Each type once, because a still and an animation may share it.
fn content_types(kind: Kind, media: &MediaConfig, with_magick: bool) -> Vec<&'static str> {
    let own = Format::all()
        .filter(|format| format.is_readable() && format.kind() == kind)
        .filter(|format| media.svg.enable || *format != Format::Svg)
        .map(Format::mime);
    let mut types: Vec<_> = own.collect();
    // ImageMagick only converts single pictures.
    if with_magick && kind == Kind::Image {
        let taken = Foreign::ALL
            .into_iter()
            .filter(|what| media.magick.takes(*what));
        for foreign in taken.map(content_type) {
            // Some formats have varieties that only ImageMagick reads.
            if !types.contains(&foreign) {
                types.push(foreign);
            }
        }
    }
    types
}

/// The media type used by browsers and file managers.
fn content_type(what: Foreign) -> &'static str {
    match what {
        Foreign::Psd => "image/vnd.adobe.photoshop",
        Foreign::Jp2 => "image/jp2",
        Foreign::J2k => "image/j2c",
        Foreign::Dng => "image/x-adobe-dng",
        Foreign::Cr2 => "image/x-canon-cr2",
        Foreign::Nef => "image/x-nikon-nef",
        Foreign::Arw => "image/x-sony-arw",
        Foreign::Heif => "image/heif",
        Foreign::Tiff => "image/tiff",
        Foreign::Jpeg => "image/jpeg",
    }
}

fn leave_unset_out(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(leave_unset_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_two_limits_counts() {
        let mut config = Config::default();
        config.media.max_file_size = 3;
        config.media.animation.max_file_size = 2;
        let limits = for_clients(&config, |_| false);
        assert_eq!(limits["max_file_size"], 3 * MIB);
        assert_eq!(limits["image"]["max_file_size"], 3 * MIB);
        assert_eq!(limits["animation"]["max_file_size"], 2 * MIB);
        assert_eq!(limits["video"]["enabled"], false);
        let limits = for_clients(&config, |helper| helper == Helper::Ffmpeg);
        assert_eq!(limits["video"]["enabled"], true);
    }

    #[test]
    fn what_a_program_reads_is_named_where_it_is_there() {
        let config = Config::default();
        for is_there in [false, true] {
            let limits = for_clients(&config, |helper| is_there && helper == Helper::Magick);
            let has = |kind: &str, name: &str| {
                let types = limits[kind]["content_types"].as_array();
                types.expect("a list").contains(&name.into())
            };
            assert_eq!(has("image", "image/vnd.adobe.photoshop"), is_there);
            assert_eq!(has("image", "image/jp2"), is_there);
            assert!(has("image", "image/tiff") && !has("animation", "image/jp2"));
        }
    }
}
