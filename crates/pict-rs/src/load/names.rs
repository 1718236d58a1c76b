//! Names of older versions. Deployments still set them, so they must stay harmless, and the warning
//! tells the new name.

/// Sections whose keys moved unchanged.
const SECTIONS: [(&str, &str); 2] = [("media.gif.", "media.animation."), ("sled.", "repo.")];

/// Single keys of 0.3 (without a section) and 0.4.
const KEYS: [(&str, &str); 32] = [
    ("PICTRS_OPENTELEMETRY_URL", "tracing.opentelemetry.url"),
    ("PICTRS_ADDR", "server.address"),
    ("addr", "server.address"),
    ("address", "server.address"),
    ("api_key", "server.api_key"),
    ("console_buffer_capacity", "tracing.console.buffer_capacity"),
    ("filters", "media.filters"),
    ("image_format", "media.image.format"),
    ("max_file_size", "media.max_file_size"),
    ("max_image_area", "media.image.max_area"),
    ("max_image_height", "media.image.max_height"),
    ("max_image_width", "media.image.max_width"),
    ("opentelemetry_url", "tracing.opentelemetry.url"),
    ("path", "store.path and repo.path"),
    ("repo", "repo.type"),
    ("store", "store.type"),
    ("media.audio_codec", "media.video.audio_codec"),
    ("media.enable_full_video", "media.video.allow_audio"),
    ("media.enable_silent_video", "media.video.enable"),
    ("media.format", "media.image.format"),
    ("media.max_area", "media.image.max_area"),
    ("media.max_frame_count", "media.video.max_frame_count"),
    ("media.max_height", "media.image.max_height"),
    ("media.max_width", "media.image.max_width"),
    ("media.video_codec", "media.video.video_codec"),
    ("server.addr", "server.address"),
    ("old_repo.cache_capacity", ""),
    ("old_repo.path", ""),
    ("media.skip_validate_imports", ""),
    ("server.client_pool_size", ""),
    ("server.worker_id", ""),
    ("store.signature_duration", ""),
];

/// A description for the warning, with the new name if it was renamed.
pub fn explained(name: &str) -> String {
    let known = KEYS.iter().find(|(old, _)| *old == name);
    match known {
        Some((_, "")) => format!("{name} (of an older version, gone)"),
        Some((_, new)) => format!("{name} (now {new})"),
        None => SECTIONS
            .iter()
            .find_map(|(old, new)| Some(format!("{name} (now {new}{})", name.strip_prefix(old)?)))
            .unwrap_or_else(|| name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamed_keys_name_the_new_ones_and_others_stay_as_they_are() {
        let check = |name, expected| assert_eq!(explained(name), expected);
        check(
            "media.gif.max_width",
            "media.gif.max_width (now media.animation.max_width)",
        );
        check("api_key", "api_key (now server.api_key)");
        check(
            "server.worker_id",
            "server.worker_id (of an older version, gone)",
        );
        check("server.colour", "server.colour");
    }
}
