# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_pict_rs_global_optspecs
    string join \n c/config-file= save-to= log-format= log-targets= log-spans log-requests no-log-ansi console-address= console-buffer-capacity= opentelemetry-url= opentelemetry-service-name= opentelemetry-targets= old-repo-path= old-repo-cache-capacity= h/help V/version
end

function __fish_pict_rs_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_pict_rs_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_pict_rs_using_subcommand
    set -l cmd (__fish_pict_rs_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c pict-rs -n "__fish_pict_rs_needs_command" -s c -l config-file -d 'Configuration file: TOML, JSON, YAML or RON, by its extension' -r -F
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l save-to -d 'Write the merged configuration (TOML, with its secrets) to this file and go on' -r -F
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l log-format -d 'Log format: normal, compact, pretty or json [default: normal]' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l log-targets -d 'Log filter in the syntax of RUST_LOG [default: info]' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l console-address -d 'tokio-console socket; needs a special build' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l console-buffer-capacity -d 'Events that tokio-console keeps' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l opentelemetry-url -d 'OTLP endpoint for traces' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l opentelemetry-service-name -d 'Name of this service in traces' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l opentelemetry-targets -d 'Trace filter in the syntax of RUST_LOG' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l old-repo-path -d 'Accepted, without effect: data of 0.4 cannot be upgraded' -r -F
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l old-repo-cache-capacity -d 'Accepted, without effect' -r
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l log-spans -d 'Log when spans open and close'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l log-requests -d 'Log each finished request'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -l no-log-ansi -d 'No colours in logs'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -s V -l version -d 'Print version'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "run" -d 'Serve (the default)'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "takeover" -d 'Serve, and take over from a running pict-rs 0.5 or later: what is unknown here is fetched from it and kept, everything else is copied in the background'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "check-config" -d 'Check the configuration and exit'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "print-config" -d 'Print the merged configuration, secrets as ***, and exit'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "doctor" -d 'Tell what this installation can and cannot do, and why; exits with 1 if something is wrong'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "accept-store" -d 'Tie the folder of files to the database whatever they hold, after a start was refused because they do not belong together'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "migrate" -d 'Take over what the existing pict-rs 0.5 or 0.6 has in a database (sled, fjall, PostgreSQL) and in a folder or bucket of files; neither server may run meanwhile. Exits with 1 if something could not be taken over'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "migrate-repo" -d 'Copy the database to another one, of the same kind or the other; the files stay where they are. No server may run on either meanwhile. A second run continues after an interruption'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "migrate-store" -d 'Move the files to another folder or bucket, without a server; the old ones stay where they are. A second run continues after an interruption. With old_store in its configuration the server does the same while it serves'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "fsck" -d 'Hold database and files against each other: rows without bytes, damaged bytes, files without a row. Exits with 1 if something is wrong. A server may run meanwhile, but not with --repair'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "verify-clean" -d 'Show that files carry no metadata: clean a copy of each as an upload is cleaned, and hold what would be stored against exiftool, where it is installed. Exits with 1 if something is left, with 3 if a file could not be judged. Keeps nothing; a server may run meanwhile'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "backup" -d 'Write a copy of the embedded database to a new file; a server may run meanwhile'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "restore" -d 'Put a copy of the embedded database in its place, where none may be, after checking it'
complete -c pict-rs -n "__fish_pict_rs_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -s a -l address -d 'Socket to listen on [default: 0.0.0.0:8080]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l api-key -d 'Key for /internal/*; without one all of it is refused' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l max-file-count -d 'Files per upload request [default: 1]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l temporary-directory -d 'Where uploads are spooled [default: inside the files folder]' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l certificate -d 'TLS certificate chain (PEM)' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l private-key -d 'TLS private key (PEM)' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l client-timeout -d 'Seconds for one download [default: 30]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l client-allowed-hosts -d 'Host, or host:port, that may have a private address; repeat for more than one' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l client-concurrency -d 'Fetches at a time [default: 64]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l upgrade-concurrency -d 'Accepted, without effect' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l metrics-prometheus-address -d 'Prometheus socket' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-external-validation -d 'URL asked before a file is accepted' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-external-validation-timeout -d 'Seconds for one such question' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-external-validation-form -d 'How it is asked: raw or multipart [default: raw]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-external-validation-failure -d 'Files while it does not answer: refuse or accept [default: refuse]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-external-validation-as -d 'What it is shown: original or jpeg [default: original]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-heal -d 'Aliases that a lost file comes back for: alias or all [default: alias]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-max-file-size -d 'MiB, ceiling for any upload [default: 40]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-process-timeout -d 'Seconds for one piece of media work [default: 30]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-isolation -d 'Where files are decoded: auto, process or thread [default: auto]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-preprocess-steps -d 'Operations for every upload, as a query string' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-concurrency -d 'Pieces of media work at a time [default: one per processor]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-queue-length -d 'Pieces of media work that may wait [default: 256]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-queue-timeout -d 'Seconds that media work may wait [default: 30]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-background-length -d 'Jobs that may wait for background work [default: 256]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-memory -d 'MiB that media work may use in all [default: 512]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-disk -d 'What all that is stored may take, such as 40 GiB; variants and proxied media give way to uploads' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-owner-quota -d 'What the originals of one owner may take, such as 500 MiB; any number if it is not set' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-variants-per-original -d 'Variants that one original may have; 0 is any number [default: 128]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-pdq-on-match -d 'What happens to pictures that look like listed ones: refuse or quarantine [default: refuse]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-pdq-distance -d 'Bits in which they may differ from a listed hash, at most 128 [default: 31]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-pdq-quality -d 'Least quality of hashes that match, 0-100 [default: 50]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-pdq-subscriptions -d 'Signed lists of other servers, each as its URL, a space and its key, separated by commas' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-pdq-refresh -d 'How often they are looked at [default: 1h]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-auto-budget -d 'Milliseconds that clients of process.auto wait for a slow format [default: 300]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-auto-fallback-max-age -d 'max-age of the answer in another format meanwhile [default: 1m]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-retention-claims -d 'Time after which an unclaimed backgrounded upload is dropped [default: 7d]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-retention-variants -d 'Time after which unused variants go [default: 7d]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-retention-proxy -d 'Time after which unused proxied media go [default: 7d]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-retention-variants-size -d 'MiB for all variants; the least recently used go first' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-retention-proxy-size -d 'MiB for all proxied media; the least recently used go first' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-magick-max-width -d 'Pixels' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-magick-max-height -d 'Pixels' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-magick-max-area -d 'Pixels' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-magick-memory -d 'MiB' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-magick-map -d 'MiB' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-magick-disk -d 'MiB' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-max-width -d 'Pixels [default: 10000]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-max-height -d 'Pixels [default: 10000]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-max-area -d 'Pixels [default: 40000000]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-max-file-size -d 'MiB [default: 40]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-format -d 'Convert stills at upload: avif, jpeg, jxl, png or webp' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-quality-avif -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-quality-png -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-quality-jpeg -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-quality-jxl -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-quality-webp -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-max-width -d 'Pixels [default: 1920]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-max-height -d 'Pixels [default: 1920]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-max-area -d 'Pixels [default: 2073600]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-max-frame-count -d 'Frames [default: 900]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-max-file-size -d 'MiB [default: 40]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-format -d 'Convert animations at upload: apng, avif, gif or webp' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-quality-apng -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-quality-avif -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-animation-quality-webp -d '0-100' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-max-width -d 'Pixels' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-max-height -d 'Pixels' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-max-area -d 'Pixels' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-max-frame-count -d 'Frames' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-max-file-size -d 'MiB' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-codec -d 'av1, h264, h265, vp8 or vp9' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-audio-codec -d 'aac, opus or vorbis' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-max -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-240 -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-360 -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-480 -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-720 -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-1080 -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-1440 -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-quality-2160 -d '0-63' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-filters -d 'Operations that process URLs may use; repeat for more than one' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-helpers -d 'Programs that may be used if they are there: ffmpeg, magick; repeat for more than one' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-magick-formats -d 'Formats that ImageMagick is handed; repeat for more than one' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-keep-metadata -d 'What originals keep: copyright' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-auto-formats -d 'Formats of process.auto, best first; repeat for more than one' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-auto-slow -d 'Formats that clients of process.auto do not wait for; repeat for more than one' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l read-only -d 'Refuse everything that changes data'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l danger-dummy-mode -d 'Accept any bytes as a picture, for other projects\' tests'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l no-cleanup-temporary-directory -d 'Accepted, without effect: spooled uploads have no name and leave nothing behind'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l client-allow-local-connections -d 'Allow downloads from private addresses'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-fast -d 'Variants cost less CPU and are a little less sharp'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-no-reduced-copies -d 'Make small variants of large photographs from the originals'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-strict-operations -d 'Refuse process URLs with keys that are not operations'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-image-accept-damaged -d 'Take in cut files, with what is there of them'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-svg-enable -d 'Draw SVG files and store them as pictures'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-disable -d 'Refuse videos'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -l media-video-allow-audio -d 'Keep the sound of videos'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -f -a "filesystem" -d 'Keep files in a folder (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -f -a "object-storage" -d 'Keep files in an S3 bucket'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and not __fish_seen_subcommand_from filesystem object-storage help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from filesystem" -s p -l path -d 'The folder [default: files in the data folder]' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from filesystem" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from filesystem" -f -a "sqlite" -d 'The embedded database (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from filesystem" -f -a "sled" -d 'The embedded database, in the folder given for sled'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from filesystem" -f -a "fjall" -d 'The embedded database, in the folder given for fjall'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from filesystem" -f -a "postgres" -d 'PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from filesystem" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -s e -l endpoint -d 'URL of the S3 server, without the bucket' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -s b -l bucket-name -d 'S3 bucket' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -s r -l region -d 'S3 region' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -s a -l access-key -d 'S3 key id' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -s s -l secret-key -d 'S3 secret' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -l session-token -d 'S3 session' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -l client-timeout -d 'Seconds for one request [default: 30]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -l certificate-file -d 'CA certificates of the S3 server (PEM)' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -l public-endpoint -d 'Send clients there instead of answering with bytes' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -l signed-redirects -d 'Send clients to the bucket instead, with URLs that are valid for this time' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -l instance-credentials -d 'Take the key from the cloud that the server runs in'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -s u -l use-path-style -d 'Bucket in the path instead of the host name'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -l tag-healthz -d 'Accepted, without effect: health checks store no object'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -f -a "sqlite" -d 'The embedded database (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -f -a "sled" -d 'The embedded database, in the folder given for sled'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -f -a "fjall" -d 'The embedded database, in the folder given for fjall'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -f -a "postgres" -d 'PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from object-storage" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from help" -f -a "filesystem" -d 'Keep files in a folder (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from help" -f -a "object-storage" -d 'Keep files in an S3 bucket'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand run; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -l api-key -d 'Its API key' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -l api-key-file -d 'File that holds its API key' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -l repo-url -d 'Its PostgreSQL database, from which delete tokens are read' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -l repo-url-file -d 'File that holds the URL of its PostgreSQL database' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -l concurrency -d 'Files copied at a time in the background [default: 2]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -l rate -d 'Files copied per second in the background at most; 0 is no limit [default: 20]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -l timeout -d 'Seconds for one request to it [default: 60]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -s a -l address -d 'Socket to listen on [default: 0.0.0.0:8080]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand takeover" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand check-config" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand print-config" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand doctor" -l json -d 'For programs'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand accept-store" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate" -l from -d 'Its database: a folder of sled or fjall, or postgres://user@host:port/database [default: the folder for ours]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate" -l files -d 'Its files, which are copied [default: the folder or bucket for ours, where they stay as they are]' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate" -l from-config -d 'Its configuration file, which says where both are' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate" -l unit -d 'The unit of systemd that runs the server, whose state directory and user count [default: pict-rs.service, if there is one]' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate" -l skip-missing-files -d 'Exit with 0 although files are missing; their aliases stay unknown'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate" -l skip-unnamed -d 'Exit with 0 although there are files that the database does not name, or contents without an alias'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -s c -l concurrency -d 'Accepted, without effect: rows are copied in pages, not one by one' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -l dry-run -d 'Tell what would be copied, and change nothing'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -l restart -d 'Throw away what an interrupted run has copied, and begin again'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -f -a "sqlite" -d 'From the embedded database'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -f -a "postgres" -d 'From PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -f -a "sled" -d 'Refused: \'pict-rs migrate\' takes over a sled database'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and not __fish_seen_subcommand_from sqlite postgres sled fjall" -f -a "fjall" -d 'Refused: \'pict-rs migrate\' takes over a fjall database'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sqlite" -s p -l path -d 'Its folder [default: database in the data folder]' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sqlite" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sqlite" -f -a "sqlite" -d 'The embedded database (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sqlite" -f -a "sled" -d 'The embedded database, in the folder given for sled'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sqlite" -f -a "fjall" -d 'The embedded database, in the folder given for fjall'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sqlite" -f -a "postgres" -d 'PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -s u -l url -d 'Connection URL' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -s c -l certificate-file -d 'CA certificate' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -s t -l use-tls -d 'Connect over TLS'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -f -a "sqlite" -d 'The embedded database (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -f -a "sled" -d 'The embedded database, in the folder given for sled'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -f -a "fjall" -d 'The embedded database, in the folder given for fjall'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from postgres" -f -a "postgres" -d 'PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -s p -l path -d 'Its folder' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -s c -l cache-capacity -d 'Accepted, without effect' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -s e -l export-path -d 'Folder for exports' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -f -a "sqlite" -d 'The embedded database (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -f -a "sled" -d 'The embedded database, in the folder given for sled'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -f -a "fjall" -d 'The embedded database, in the folder given for fjall'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from sled" -f -a "postgres" -d 'PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from fjall" -s f -l fjall-path -d 'Its folder' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from fjall" -s d -l debug-dump-db-path -d 'Accepted, without effect' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from fjall" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from fjall" -f -a "sqlite" -d 'The embedded database (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from fjall" -f -a "sled" -d 'The embedded database, in the folder given for sled'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from fjall" -f -a "fjall" -d 'The embedded database, in the folder given for fjall'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-repo; and __fish_seen_subcommand_from fjall" -f -a "postgres" -d 'PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and not __fish_seen_subcommand_from filesystem object-storage" -l concurrency -d 'Files that are copied at a time [default: 32]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and not __fish_seen_subcommand_from filesystem object-storage" -l skip-missing-files -d 'End although files are in neither store; without this the exit code is 1, and a second run looks for them again'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and not __fish_seen_subcommand_from filesystem object-storage" -l skip-digests -d 'At the end compare only the sizes of all files, and do not read them again'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and not __fish_seen_subcommand_from filesystem object-storage" -l dry-run -d 'Tell what would be moved, and change nothing'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and not __fish_seen_subcommand_from filesystem object-storage" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and not __fish_seen_subcommand_from filesystem object-storage" -f -a "filesystem" -d 'From a folder'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and not __fish_seen_subcommand_from filesystem object-storage" -f -a "object-storage" -d 'From an S3 bucket'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from filesystem" -s p -l path -d 'The folder [default: files in the data folder]' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from filesystem" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from filesystem" -f -a "filesystem" -d 'Keep files in a folder (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from filesystem" -f -a "object-storage" -d 'Keep files in an S3 bucket'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -s e -l endpoint -d 'URL of the S3 server, without the bucket' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -s b -l bucket-name -d 'S3 bucket' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -s r -l region -d 'S3 region' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -s a -l access-key -d 'S3 key id' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -s s -l secret-key -d 'S3 secret' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -l session-token -d 'S3 session' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -l client-timeout -d 'Seconds for one request [default: 30]' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -l certificate-file -d 'CA certificates of the S3 server (PEM)' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -l public-endpoint -d 'Send clients there instead of answering with bytes' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -l signed-redirects -d 'Send clients to the bucket instead, with URLs that are valid for this time' -r
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -l instance-credentials -d 'Take the key from the cloud that the server runs in'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -s u -l use-path-style -d 'Bucket in the path instead of the host name'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -l tag-healthz -d 'Accepted, without effect: health checks store no object'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -f -a "filesystem" -d 'Keep files in a folder (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand migrate-store; and __fish_seen_subcommand_from object-storage" -f -a "object-storage" -d 'Keep files in an S3 bucket'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand fsck" -l from -d 'Bring lost and damaged originals back from this folder, where they may have any names; with --repair' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand fsck" -l from-config -d 'Bring them back from the folder or bucket that store of this configuration file names; with --repair' -r -F
complete -c pict-rs -n "__fish_pict_rs_using_subcommand fsck" -l digests -d 'Read all bytes and compare their digests, not only sizes'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand fsck" -l json -d 'Print the report for programs'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand fsck" -l repair -d 'Remove rows of variants that lost their bytes, and files without a row that are older than 6 hours'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand fsck" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand verify-clean" -l as-is -d 'Judge the files as they are: originals that a server has stored or answered with'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand verify-clean" -l json -d 'Print the report for programs'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand verify-clean" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand backup" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand restore" -s h -l help -d 'Print help'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "run" -d 'Serve (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "takeover" -d 'Serve, and take over from a running pict-rs 0.5 or later: what is unknown here is fetched from it and kept, everything else is copied in the background'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "check-config" -d 'Check the configuration and exit'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "print-config" -d 'Print the merged configuration, secrets as ***, and exit'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "doctor" -d 'Tell what this installation can and cannot do, and why; exits with 1 if something is wrong'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "accept-store" -d 'Tie the folder of files to the database whatever they hold, after a start was refused because they do not belong together'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "migrate" -d 'Take over what the existing pict-rs 0.5 or 0.6 has in a database (sled, fjall, PostgreSQL) and in a folder or bucket of files; neither server may run meanwhile. Exits with 1 if something could not be taken over'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "migrate-repo" -d 'Copy the database to another one, of the same kind or the other; the files stay where they are. No server may run on either meanwhile. A second run continues after an interruption'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "migrate-store" -d 'Move the files to another folder or bucket, without a server; the old ones stay where they are. A second run continues after an interruption. With old_store in its configuration the server does the same while it serves'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "fsck" -d 'Hold database and files against each other: rows without bytes, damaged bytes, files without a row. Exits with 1 if something is wrong. A server may run meanwhile, but not with --repair'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "verify-clean" -d 'Show that files carry no metadata: clean a copy of each as an upload is cleaned, and hold what would be stored against exiftool, where it is installed. Exits with 1 if something is left, with 3 if a file could not be judged. Keeps nothing; a server may run meanwhile'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "backup" -d 'Write a copy of the embedded database to a new file; a server may run meanwhile'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "restore" -d 'Put a copy of the embedded database in its place, where none may be, after checking it'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and not __fish_seen_subcommand_from run takeover check-config print-config doctor accept-store migrate migrate-repo migrate-store fsck verify-clean backup restore help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from run" -f -a "filesystem" -d 'Keep files in a folder (the default)'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from run" -f -a "object-storage" -d 'Keep files in an S3 bucket'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from migrate-repo" -f -a "sqlite" -d 'From the embedded database'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from migrate-repo" -f -a "postgres" -d 'From PostgreSQL'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from migrate-repo" -f -a "sled" -d 'Refused: \'pict-rs migrate\' takes over a sled database'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from migrate-repo" -f -a "fjall" -d 'Refused: \'pict-rs migrate\' takes over a fjall database'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from migrate-store" -f -a "filesystem" -d 'From a folder'
complete -c pict-rs -n "__fish_pict_rs_using_subcommand help; and __fish_seen_subcommand_from migrate-store" -f -a "object-storage" -d 'From an S3 bucket'
