//! Runs ffmpeg: to rewrite a clip with nothing but its pictures (and sound), and to extract a
//! frame.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pict_rs_media::{AudioCodec, Clip, Control, Facts, Format, VideoCodec};

use super::{Helper, Program, ResourceLimits, run};
use crate::config::{self, VideoConfig};
use crate::{Error, ErrorCode, Result};

const MIB: u64 = 1024 * 1024;

/// Bytes that ffmpeg needs for a clip besides the file: a dozen reference frames, as many in its
/// queues, and a PNG.
pub(crate) fn memory(facts: &Facts) -> u64 {
    let area = u64::from(facts.stored_width) * u64::from(facts.stored_height);
    64 * MIB + area.saturating_mul(32)
}

/// A run of ffmpeg.
pub(crate) struct Ffmpeg<'a> {
    pub(crate) program: Program<'a>,
    /// A folder for this run, which contains the clip as [`CLIP`].
    pub(crate) folder: &'a Path,
    pub(crate) time: Duration,
}

/// The clip's name in its folder.
pub(crate) const CLIP: &str = "clip";
/// The file in that folder that [`Ffmpeg::write`] makes.
pub(crate) const WRITTEN: &str = "written";
const FRAME: &str = "frame.png";
/// The thumbnail is chosen from this much of the beginning.
const OPENING: Duration = Duration::from_secs(3);
/// Selects the frame that is shown at the requested time, which is zero here: frames come from the
/// key frame before it, and each is shown until the next one's time, in milliseconds. The last
/// frame is shown at any later time.
const SHOWN: &str =
    "tpad=stop_mode=clone:stop_duration=3600,fps=1000:start_time=0:round=up,trim=end_frame=1";
/// Bytes of memory for the frames that are compared for the thumbnail.
const COMPARED: u64 = 48 * MIB;

impl Ffmpeg<'_> {
    /// Writes the clip without its metadata; streams are copied unless the settings require another
    /// codec.
    pub(crate) fn write(
        &self,
        clip: &Clip,
        config: &VideoConfig,
        control: &Control,
    ) -> Result<Vec<u8>> {
        let target = ClipTarget::new(clip, config);
        let mut command = self.command(clip, target.encoder.is_some() && clip.facts.has_alpha);
        command.args(["-i", CLIP, "-map", "0:V:0"]);
        if target.audio.is_some() {
            command.args(["-map", "0:a:0?"]);
        }
        for of in ["", ":s", ":c", ":p"] {
            command.args([&format!("-map_metadata{of}"), "-1"]);
        }
        if target.encoder.is_none() && clip.facts.has_alpha {
            // Removed with the metadata, but without it browsers show no transparency.
            command.args(["-metadata:s:v", "alpha_mode=1"]);
        }
        command.args(["-map_chapters", "-1", "-sn", "-dn"]);
        command.args(target.pictures(clip, config));
        if let Some(filter) = pictures_alone(target.codec(clip)) {
            command.args(["-bsf:v", filter]);
        }
        command.args(target.sound());
        // Otherwise the versions of muxer and encoder are written into the file.
        command.args(["-fflags", "+bitexact", "-flags:v", "+bitexact"]);
        command.args(["-flags:a", "+bitexact"]);
        if target.format == Format::Mp4 {
            // The bit rates would be those of the source, which contained more.
            command.args(["-write_btrt", "0"]);
            command.args(["-movflags", "+faststart", "-f", "mp4"]);
        } else {
            command.args(["-f", "webm"]);
        }
        command.arg(WRITTEN);
        // Re-encoding may need more bytes, within reason.
        let most = config.max_file_size.saturating_mul(2 * MIB);
        self.run(command, clip, most, control)?;
        self.made(WRITTEN)?.ok_or_else(|| nothing("the clip"))
    }

    /// A frame of the clip as an upright PNG: the one shown at `at` milliseconds, or the most
    /// representative one.
    pub(crate) fn frame(&self, clip: &Clip, at: Option<u64>, control: &Control) -> Result<Vec<u8>> {
        if at.is_some() {
            let shown = self.show(clip, at, SHOWN, control)?;
            return shown.ok_or_else(|| nothing("a frame"));
        }
        if let Some(frame) = self.show(clip, None, &opening(&clip.facts), control)? {
            return Ok(frame);
        }
        let first = self.show(clip, None, "null", control)?;
        first.ok_or_else(|| nothing("a frame"))
    }

    /// Decodes from the key frame before `at` milliseconds, or the opening.
    fn show(
        &self,
        clip: &Clip,
        at: Option<u64>,
        choose: &str,
        control: &Control,
    ) -> Result<Option<Vec<u8>>> {
        let mut command = self.command(clip, clip.facts.has_alpha);
        if let Some(at) = at {
            command.args(["-ss", &format!("{}.{:03}", at / 1000, at % 1000)]);
            command.arg("-noaccurate_seek");
        } else {
            command.args(["-t", &OPENING.as_secs().to_string()]);
        }
        command.args(["-i", CLIP, "-map", "0:V:0", "-an", "-sn", "-dn"]);
        // Makes non-square pixels square, as the facts assume.
        let filters = format!(
            "{choose},scale='if(gt(sar,1),round(iw*sar),iw)':'if(gt(sar,0)*lt(sar,1),round(ih/sar),ih)'\
             :{},format={},setsar=1",
            colours(clip),
            pixels(clip)
        );
        command.args(["-vf", &filters]);
        command.args(["-frames:v", "1"]);
        command.args(["-c:v", "png", "-compression_level", "1"]);
        command.args(["-threads", "1", "-f", "image2", "-update", "1", FRAME]);
        self.run(command, clip, 256 * MIB, control)?;
        let Some(frame) = self.made(FRAME)? else {
            return Ok(None);
        };
        // ffmpeg writes the camera's transfer curve as a gamma, which browsers do not apply to
        // clips.
        let frame = pict_rs_media::with_code(&frame, clip.colours.code(), control)?;
        Ok(Some(frame))
    }

    /// Options before the input: one thread, because a permit is for one processor; only the
    /// protocol `file`; a fixed format, so that ffmpeg does not guess.
    fn command(&self, clip: &Clip, keeps_alpha: bool) -> Command {
        let mut command = self.program.command();
        command.args(["-nostdin", "-hide_banner", "-y", "-loglevel", "error"]);
        command.args(["-filter_threads", "1", "-threads", "1"]);
        command.args(["-protocol_whitelist", "file"]);
        // ffmpeg's own decoders drop transparency.
        match clip.video {
            VideoCodec::Vp8 if keeps_alpha => command.args(["-c:v", "libvpx"]),
            VideoCodec::Vp9 if keeps_alpha => command.args(["-c:v", "libvpx-vp9"]),
            _ => &mut command,
        };
        let format = match clip.facts.format {
            Format::Mp4 => "mov",
            _ => "matroska",
        };
        command.args(["-f", format]);
        command
    }

    fn run(&self, command: Command, clip: &Clip, most: u64, control: &Control) -> Result<()> {
        let limits = ResourceLimits {
            memory: memory(&clip.facts),
            file_size: most,
            time: self.time,
        };
        run::run(Helper::Ffmpeg, command, self.folder, limits, control).map(drop)
    }

    fn made(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match fs::read(self.folder.join(name)) {
            Ok(bytes) if bytes.is_empty() => Ok(None),
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::internal(
                ErrorCode::FileIoError,
                "cannot read what ffmpeg made",
                error,
            )),
        }
    }
}

/// How the scaler converts YCbCr to RGB. The range is known from each frame.
fn colours(clip: &Clip) -> String {
    let matrix = match clip.colours.matrix(clip.facts.stored_height) {
        1 => "bt709",
        4 => "fcc",
        7 => "smpte240m",
        9 | 10 => "bt2020",
        // RGB needs no matrix.
        _ => "smpte170m",
    };
    format!("in_color_matrix={matrix}:flags=bicubic+accurate_rnd+full_chroma_int")
}

fn pixels(clip: &Clip) -> &'static str {
    match (clip.colours.is_hdr(), clip.facts.has_alpha) {
        (true, true) => "rgba64be",
        (true, false) => "rgb48be",
        (false, true) => "rgba",
        (false, false) => "rgb24",
    }
}

/// A bitstream filter that keeps only the parts of a stream that make pictures. It drops messages
/// (SEI, metadata OBUs), in which cameras write locations and encoders their settings, and unknown
/// parts. `None` for codecs without such parts.
fn pictures_alone(codec: VideoCodec) -> Option<&'static str> {
    match codec {
        VideoCodec::H264 => Some("filter_units=pass_types=1-5|7-11|13|19"),
        VideoCodec::Hevc => Some("filter_units=pass_types=0-9|16-21|32-37"),
        VideoCodec::Av1 => Some("filter_units=pass_types=1-4|6-7"),
        VideoCodec::Vp8 | VideoCodec::Vp9 => None,
    }
}

fn nothing(what: &str) -> Error {
    Error::user(
        ErrorCode::MediaDamaged,
        format!("ffmpeg finds no picture in this clip and did not make {what}"),
    )
}

/// Samples frames of the opening at even distances and chooses the one whose colours are nearest to
/// the average, which avoids a black beginning or a flash.
fn opening(facts: &Facts) -> String {
    let area = u64::from(facts.stored_width) * u64::from(facts.stored_height);
    let duration = facts.duration_ms.unwrap_or(0).max(1);
    let all = u64::from(facts.frames);
    let opening = OPENING.as_millis() as u64;
    let there = (all * opening.min(duration) / duration).clamp(1, all.max(1));
    let compared = (COMPARED / (area * 2).max(1)).clamp(2, 30);
    let step = there.div_ceil(compared);
    format!("select='not(mod(n,{step}))',thumbnail={compared}")
}

/// What to write.
struct ClipTarget {
    format: Format,
    /// `None` copies the stream.
    encoder: Option<config::VideoCodec>,
    audio: Option<Sound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    Copied,
    Encoded(config::AudioCodec),
}

impl ClipTarget {
    fn new(clip: &Clip, config: &VideoConfig) -> Self {
        let encoder = config.video_codec.filter(|codec| !is(*codec, clip.video));
        let format = match encoder {
            None => clip.facts.format,
            Some(config::VideoCodec::H264 | config::VideoCodec::H265) => Format::Mp4,
            Some(_) => Format::Webm,
        };
        let audio = clip.audio.filter(|_| config.allow_audio);
        Self {
            format,
            encoder,
            audio: audio.map(|codec| sound(format, codec, config.audio_codec)),
        }
    }

    /// The codec of the result.
    fn codec(&self, clip: &Clip) -> VideoCodec {
        match self.encoder {
            None => clip.video,
            Some(config::VideoCodec::H264) => VideoCodec::H264,
            Some(config::VideoCodec::H265) => VideoCodec::Hevc,
            Some(config::VideoCodec::Av1) => VideoCodec::Av1,
            Some(config::VideoCodec::Vp8) => VideoCodec::Vp8,
            Some(config::VideoCodec::Vp9) => VideoCodec::Vp9,
        }
    }

    fn pictures(&self, clip: &Clip, config: &VideoConfig) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut say = |text: &str| words.extend(text.split(' ').map(str::to_owned));
        let Some(codec) = self.encoder else {
            say("-c:v copy");
            if clip.video == VideoCodec::Hevc && self.format == Format::Mp4 {
                // Apple's players require this tag.
                say("-tag:v hvc1");
            }
            return words;
        };
        let crf = crf(&clip.facts, config);
        let has_alpha = clip.facts.has_alpha
            && matches!(codec, config::VideoCodec::Vp8 | config::VideoCodec::Vp9);
        say("-fps_mode passthrough -threads 1 -vf scale=trunc(iw/2)*2:trunc(ih/2)*2");
        say(if has_alpha {
            "-pix_fmt yuva420p -auto-alt-ref 0"
        } else {
            "-pix_fmt yuv420p"
        });
        match codec {
            config::VideoCodec::H264 => say(&format!("-c:v libx264 -crf {}", crf.min(51))),
            config::VideoCodec::H265 => say(&format!(
                "-c:v libx265 -crf {} -tag:v hvc1 -x265-params pools=none:frame-threads=1:log-level=error:info=0",
                crf.min(51)
            )),
            // Without an upper bound the encoder uses its default bit rate, which suits only tiny
            // videos.
            config::VideoCodec::Vp8 => say(&format!(
                "-c:v libvpx -crf {} -b:v 20M -deadline good -cpu-used 4",
                crf.clamp(4, 63)
            )),
            config::VideoCodec::Vp9 => say(&format!(
                "-c:v libvpx-vp9 -crf {crf} -b:v 0 -deadline good -cpu-used 5"
            )),
            config::VideoCodec::Av1 => say(&format!(
                "-c:v libaom-av1 -crf {crf} -b:v 0 -cpu-used 8 -usage realtime"
            )),
        }
        words
    }

    fn sound(&self) -> [&'static str; 2] {
        match self.audio {
            None => ["-an", "-sn"],
            Some(Sound::Copied) => ["-c:a", "copy"],
            Some(Sound::Encoded(config::AudioCodec::Aac)) => ["-c:a", "aac"],
            Some(Sound::Encoded(config::AudioCodec::Opus)) => ["-c:a", "libopus"],
            Some(Sound::Encoded(config::AudioCodec::Vorbis)) => ["-c:a", "libvorbis"],
        }
    }
}

fn is(wanted: config::VideoCodec, there: VideoCodec) -> bool {
    matches!(
        (wanted, there),
        (config::VideoCodec::Av1, VideoCodec::Av1)
            | (config::VideoCodec::H264, VideoCodec::H264)
            | (config::VideoCodec::H265, VideoCodec::Hevc)
            | (config::VideoCodec::Vp8, VideoCodec::Vp8)
            | (config::VideoCodec::Vp9, VideoCodec::Vp9)
    )
}

/// How sound is written: copied if browsers play it, otherwise in the configured codec if the
/// container allows it, otherwise in the container's usual codec.
fn sound(format: Format, there: AudioCodec, wanted: Option<config::AudioCodec>) -> Sound {
    use config::AudioCodec as Wanted;
    let (fits, usual) = match format {
        Format::Mp4 => (
            matches!(
                there,
                AudioCodec::Aac | AudioCodec::Opus | AudioCodec::Mp3 | AudioCodec::Flac
            ),
            Wanted::Aac,
        ),
        _ => (
            matches!(there, AudioCodec::Opus | AudioCodec::Vorbis),
            Wanted::Opus,
        ),
    };
    let wanted = wanted.filter(|codec| match codec {
        Wanted::Opus => true,
        Wanted::Aac => format == Format::Mp4,
        Wanted::Vorbis => format != Format::Mp4,
    });
    let is_wanted = |codec| {
        matches!(
            (codec, there),
            (Wanted::Aac, AudioCodec::Aac)
                | (Wanted::Opus, AudioCodec::Opus)
                | (Wanted::Vorbis, AudioCodec::Vorbis)
        )
    };
    match wanted {
        Some(codec) if !is_wanted(codec) => Sound::Encoded(codec),
        _ if fits => Sound::Copied,
        _ => Sound::Encoded(usual),
    }
}

/// The quality for the smaller side: the nearest configured value at or above it.
fn crf(facts: &Facts, config: &VideoConfig) -> u8 {
    let quality = &config.quality;
    let side = facts.stored_width.min(facts.stored_height);
    let steps = [
        (240, quality.crf_240),
        (360, quality.crf_360),
        (480, quality.crf_480),
        (720, quality.crf_720),
        (1080, quality.crf_1080),
        (1440, quality.crf_1440),
        (2160, quality.crf_2160),
    ];
    let fitting = steps.iter().filter(|(most, _)| side <= *most);
    let set = fitting.filter_map(|(_, value)| *value).next();
    set.unwrap_or(quality.crf_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_goes_where_it_fits() {
        use config::AudioCodec as Wanted;
        let check = |format, there, wanted, expected| {
            assert_eq!(
                sound(format, there, wanted),
                expected,
                "{there:?} {wanted:?}"
            );
        };
        check(Format::Mp4, AudioCodec::Aac, None, Sound::Copied);
        check(
            Format::Mp4,
            AudioCodec::Other,
            None,
            Sound::Encoded(Wanted::Aac),
        );
        check(
            Format::Webm,
            AudioCodec::Aac,
            None,
            Sound::Encoded(Wanted::Opus),
        );
        check(
            Format::Webm,
            AudioCodec::Opus,
            Some(Wanted::Vorbis),
            Sound::Encoded(Wanted::Vorbis),
        );
        check(
            Format::Webm,
            AudioCodec::Opus,
            Some(Wanted::Aac),
            Sound::Copied,
        );
        check(
            Format::Mp4,
            AudioCodec::Aac,
            Some(Wanted::Opus),
            Sound::Encoded(Wanted::Opus),
        );
    }
}
