//! Pictures that look like listed ones, and the search for pictures that look alike.

use std::collections::HashSet;

use image::DynamicImage;
use image::imageops::FilterType;
use serde_json::{Value, json};

use crate::support::client::{content_type, multipart};
use crate::support::upstream::Upstream;
use crate::support::{
    Answer, File, Launch, Server, Uploaded, clips, database, disk, eventually, pictures,
};

const KEY: (&str, &str) = ("X-Api-Token", "the-key");
/// A photograph with a published hash.
const BRIDGE: &[u8] = include_bytes!("../../crates/pict-rs-media/src/codec/testdata/bridge.jpeg");
const BRIDGE_PDQ: &str = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";

fn launch() -> Launch {
    Launch::new()
        .setting("server.api_key", KEY.1)
        .setting("client.allow_local_connections", true)
}

fn refusing() -> Server {
    launch().start()
}

fn quarantining() -> Launch {
    launch().setting("media.pdq.on_match", "quarantine")
}

fn call(server: &Server, method: &str, route: &str) -> Answer {
    server.send(method, &format!("/internal/{route}"), &[KEY], None)
}

fn send(server: &Server, route: &str, body: &[u8]) -> Answer {
    server.send("POST", &format!("/internal/{route}"), &[KEY], Some(body))
}

/// Lists the bridge.
fn list(server: &Server) {
    let text = format!("# from a friend\n{BRIDGE_PDQ},a bridge\n");
    let answer = send(server, "pdq/list?list=friends", text.as_bytes());
    let expected = json!({ "msg": "ok", "added": 1, "total": 1 });
    assert_eq!(answer.status(201).json(), expected);
}

fn bridge() -> DynamicImage {
    image::load_from_memory(BRIDGE).expect("a JPEG")
}

fn small() -> DynamicImage {
    bridge().resize(640, 640, FilterType::Triangle)
}

/// Files that show the bridge in other ways.
fn lookalikes() -> Vec<(&'static str, Vec<u8>)> {
    let small = small();
    let (width, height) = (small.width(), small.height());
    let mut worse = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut worse, 30)
        .encode_image(&small)
        .expect("a JPEG");
    let film = vec![small.to_rgba8(), pictures::photo(width, height).to_rgba8()];
    vec![
        ("the same", BRIDGE.to_vec()),
        ("small", pictures::png(&small)),
        ("worse", worse),
        ("turned", pictures::jpeg(&small.rotate90())),
        ("upside down", pictures::webp(&small.rotate180())),
        ("mirrored", pictures::jpeg(&small.fliph())),
        ("in gray", pictures::jpeg(&small.grayscale())),
        ("the first frame", pictures::gif(&film)),
    ]
}

fn others() -> Vec<Vec<u8>> {
    vec![
        pictures::jpeg(&pictures::photo(640, 401)),
        pictures::png(&pictures::noise(300, 200, 7)),
        // Nothing is to be recognised in it.
        pictures::png(&pictures::plain(300, 200)),
        pictures::png(&pictures::plain(3, 3)),
    ]
}

#[test]
fn what_looks_like_a_listed_picture_is_refused_whatever_way_it_comes() {
    let server = refusing();
    list(&server);
    for (name, file) in lookalikes() {
        let answer = server.upload_form("", &[File::new(&file)]);
        assert_eq!(answer.status, 400, "{name}");
        let message = answer.refused(400, "blocked");
        assert!(!message.contains("friends"), "{message}");
    }
    let file = pictures::png(&small());
    server
        .claim(&server.background(&file))
        .refused(422, "blocked");
    let kind = content_type();
    let headers = [KEY, ("content-type", &kind)];
    server
        .send(
            "POST",
            "/internal/import",
            &headers,
            Some(&multipart(&[File::new(&file)])),
        )
        .refused(400, "blocked");
    let upstream = Upstream::serving(&file);
    for route in ["image/original?proxy=", "image/download?url="] {
        let path = format!("/{route}{}", upstream.url("/bridge.png"));
        server.get(&path).refused(400, "blocked");
    }
    // What becomes of a file is compared, not the file.
    server.upload_refused("thumbnail=300", &file, 400, "blocked");
    disk::assert_nothing_unfinished(&server);
    disk::assert_nothing_stored(&server);
    for file in others() {
        server.upload(&file);
    }

    let server = server.stop().start();
    server.upload_refused("", &file, 400, "blocked");
    let page = call(&server, "GET", "pdq/list").ok().json();
    assert_eq!(page["next"], Value::Null);
    assert_eq!(page["hashes"][0]["hash"], BRIDGE_PDQ);
    assert_eq!(page["hashes"][0]["list"], "friends");
    assert_eq!(page["hashes"][0]["reason"], "a bridge");
    call(&server, "DELETE", &format!("pdq/list?hash={BRIDGE_PDQ}")).ok();
    server.upload(&file);
}

/// A clip that shows the bridge all the time.
fn clip(loss: &str) -> Vec<u8> {
    let words = [
        "-f",
        "image2",
        "-loop",
        "1",
        "-i",
        "0",
        "-t",
        "1",
        "-r",
        "10",
        "-c:v",
        "libx264",
        "-crf",
        loss,
        "-pix_fmt",
        "yuv420p",
        "-vf",
        "scale=480:300",
        "clip.mp4",
    ];
    clips::run(&words, &[&pictures::png(&small())])
}

#[test]
fn a_clip_is_compared_by_a_frame() {
    let test = "a_clip_is_compared_by_a_frame";
    let Some(path) = clips::path_or_skip(test) else {
        return;
    };
    let server = launch().environment("PATH", path).start();
    server.upload(&clip("20"));
    list(&server);
    server.upload_refused("", &clip("32"), 400, "blocked");
}

/// A photograph for two and a half seconds, then the bridge for one and a half.
fn cut() -> Vec<u8> {
    let words = [
        "-f",
        "image2",
        "-loop",
        "1",
        "-t",
        "2.5",
        "-i",
        "0",
        "-f",
        "image2",
        "-loop",
        "1",
        "-t",
        "1.5",
        "-i",
        "1",
        "-filter_complex",
        "[0]scale=480:300[a];[1]scale=480:300[b];[a][b]concat",
        "-r",
        "10",
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "clip.mp4",
    ];
    let other = pictures::png(&pictures::photo(480, 300));
    clips::run(&words, &[&other, &pictures::png(&small())])
}

/// A server with these files and, where ffmpeg is there, a clip.
fn with_clip(test: &str, mut files: Vec<Vec<u8>>) -> (Server, Vec<(Vec<u8>, Uploaded)>) {
    let mut launch = launch();
    if let Some(path) = clips::path_or_skip(test) {
        launch = launch.environment("PATH", path);
        files.push(cut());
    }
    let server = launch.start();
    let sent = files.into_iter().map(|file| {
        let upload = server.upload(&file);
        (file, upload)
    });
    let sent = sent.collect();
    (server, sent)
}

#[test]
fn further_frames_are_compared_as_well() {
    let test = "further_frames_are_compared_as_well";
    let small = small();
    let (width, height) = (small.width(), small.height());
    let other = |seed| pictures::noise(width, height, seed).to_rgba8();
    let animations = [
        vec![other(1), other(2), small.to_rgba8()],
        vec![
            other(3),
            small.fliph().to_rgba8(),
            small.fliph().to_rgba8(),
            other(4),
        ],
    ];
    let files = animations.map(|frames| pictures::gif(&frames)).to_vec();
    let (server, sent) = with_clip(test, files);
    let harmless = server.upload(&pictures::gif(&[other(5), other(6)]));
    list(&server);
    scan(&server, sent.len() + 1);
    for (file, upload) in &sent {
        let original = format!("/image/original/{}", upload.alias);
        server.get(&original).refused(404, "alias-not-found");
        call(&server, "POST", &format!("purge?alias={}", upload.alias)).ok();
        server.upload_refused("", file, 400, "blocked");
        server
            .claim(&server.background(file))
            .refused(422, "blocked");
    }
    server
        .get(&format!("/image/original/{}", harmless.alias))
        .ok();
    server.upload(&pictures::gif(&[other(7), other(8)]));
    disk::assert_nothing_unfinished(&server);
}

/// The aliases of what was found, nearest first, with the bits in which they differ.
fn found(answer: Answer) -> Vec<(String, u64)> {
    let answer = answer.ok().json();
    let found = answer["similar"].as_array().expect("a list").iter();
    let name = |one: &Value| one["aliases"][0].as_str().expect("an alias").to_owned();
    found
        .map(|one| (name(one), one["distance"].as_u64().expect("bits")))
        .collect()
}

/// Searches what looks like a file.
fn search(server: &Server, files: &[File], query: &str) -> Answer {
    let kind = content_type();
    let headers = [KEY, ("content-type", &kind)];
    let path = format!("/internal/similar{query}");
    server.send("POST", &path, &headers, Some(&multipart(files)))
}

/// What is known of further frames.
fn frames_of(server: &Server, alias: &str) -> Value {
    let content = call(server, "GET", &format!("content?alias={alias}"));
    content.ok().json()["content"]["pdq"]["frames"].clone()
}

#[test]
fn a_search_and_a_purge_know_further_frames() {
    let test = "a_search_and_a_purge_know_further_frames";
    let small = small();
    let other = |seed| pictures::noise(small.width(), small.height(), seed).to_rgba8();
    let black = |mut image: image::RgbaImage| {
        image
            .pixels_mut()
            .for_each(|pixel| pixel.0 = [0, 0, 0, 255]);
        image
    };
    let film = pictures::gif(&[other(1), black(other(2)), small.to_rgba8()]);
    let (server, sent) = with_clip(test, vec![film]);
    server.upload(&pictures::gif(&[other(5), other(6)]));
    let wanted: HashSet<_> = sent
        .iter()
        .map(|(_, upload)| upload.alias.clone())
        .collect();
    let aliases = |answer: Answer| -> HashSet<String> {
        found(answer).into_iter().map(|(alias, _)| alias).collect()
    };
    let still = pictures::png(&small.fliph());
    // Uploads do not wait for it.
    eventually("hashes of frames", || {
        (aliases(search(&server, &[File::new(&still)], "")) == wanted).then_some(())
    });
    let frames = frames_of(&server, &sent[0].1.alias);
    assert_eq!(frames.as_array().map(Vec::len), Some(2), "{frames}");
    assert_eq!(frames[0]["quality"], 0);
    // By a frame of what is sent, and by one of what is stored.
    let sample = pictures::gif(&[other(7), other(8), small.rotate180().to_rgba8()]);
    let again = aliases(search(&server, &[File::new(&sample)], ""));
    assert_eq!(again, wanted);
    for (_, upload) in &sent {
        let route = format!("similar?alias={}", upload.alias);
        assert_eq!(aliases(call(&server, "GET", &route)), wanted);
    }
    // They are kept.
    let server = server.stop().start();
    assert_eq!(aliases(search(&server, &[File::new(&still)], "")), wanted);

    // The hash of a black frame would refuse others.
    let route = format!("purge?alias={}&block=true&near=true", sent[0].1.alias);
    let purged = call(&server, "POST", &route).ok().json();
    assert_eq!(purged["listed_frames"], json!([frames[1]["hash"]]));
    let lists = call(&server, "GET", "pdq").ok().json()["lists"].clone();
    assert_eq!(lists, json!([{ "list": "", "hashes": 2 }]));
    server.upload_refused("", &still, 400, "blocked");
    server.upload(&pictures::png(&black(other(9)).into()));
    // With a list they are known at once.
    let photo = pictures::photo(480, 300).to_rgba8();
    let upload = server.upload(&pictures::gif(&[other(3), photo]));
    let frames = frames_of(&server, &upload.alias);
    assert_eq!(frames.as_array().map(Vec::len), Some(1), "{frames}");
    let route = format!("purge?alias={}&block=true&near=true", upload.alias);
    let purged = call(&server, "POST", &route).ok().json();
    assert_eq!(purged["listed_frames"], json!([frames[0]["hash"]]));
}

#[test]
fn a_purge_hashes_the_frames_that_it_lists() {
    let server = refusing();
    let small = small();
    let other = pictures::noise(small.width(), small.height(), 1).to_rgba8();
    let upload = server.upload(&pictures::gif(&[other, small.to_rgba8()]));
    let route = format!("purge?alias={}&block=true&near=true", upload.alias);
    let purged = call(&server, "POST", &route).ok().json();
    assert_eq!(purged["listed_frames"].as_array().map(Vec::len), Some(1));
    server.upload_refused("", &pictures::png(&small), 400, "blocked");
}

#[test]
fn what_is_in_quarantine_only_administrators_see_until_they_decide() {
    let server = quarantining().start();
    list(&server);
    let file = pictures::png(&small());
    let upload = server.upload(&file);
    let again = server.upload(&file);
    let paths = |alias: &str| {
        [
            format!("/image/original/{alias}"),
            format!("/image/process.webp?src={alias}&thumbnail=64"),
            format!("/image/details/original/{alias}"),
            format!("/image/details/process.webp?src={alias}&thumbnail=64"),
        ]
    };
    let is_hidden = |alias: &str| {
        for path in paths(alias) {
            server.get(&path).refused(404, "alias-not-found");
        }
    };
    is_hidden(&upload.alias);
    is_hidden(&again.alias);

    let page = call(&server, "GET", "quarantine").ok().json();
    let found = page["quarantine"].as_array().expect("a list");
    assert_eq!(found.len(), 1);
    let mut aliases = [&upload.alias, &again.alias];
    aliases.sort();
    assert_eq!(found[0]["aliases"], json!(aliases));
    assert_eq!(found[0]["matched"]["list"], "friends");
    assert_eq!(found[0]["matched"]["hash"], BRIDGE_PDQ);
    assert!(found[0]["matched"]["distance"].as_u64().expect("bits") < 31);

    let route = format!("quarantine?alias={}", upload.alias);
    call(&server, "DELETE", &route).status(204);
    call(&server, "DELETE", &route).refused(404, "alias-not-found");
    for alias in [&upload.alias, &again.alias] {
        for path in paths(alias) {
            server.get(&path).ok();
        }
    }
    // Once released, the same bytes are not asked about again. Others are.
    let third = server.upload(&file);
    server.get(&format!("/image/original/{}", third.alias)).ok();
    let other = server.upload(&pictures::jpeg(&small()));
    is_hidden(&other.alias);

    // By an administrator, over a restart, and for facts that are in memory.
    call(&server, "POST", &format!("{route}&reason=reported")).status(201);
    call(&server, "POST", &route).status(201);
    is_hidden(&upload.alias);
    let server = server.stop().start();
    server
        .get(&format!("/image/original/{}", third.alias))
        .refused(404, "alias-not-found");
    let first = call(&server, "GET", "quarantine?limit=1").ok().json();
    assert_eq!(first["quarantine"][0]["reason"], "reported");
    assert_eq!(first["quarantine"][0]["matched"], Value::Null);
    let next = first["next"].as_str().expect("more");
    let second = call(&server, "GET", &format!("quarantine?before={next}"))
        .ok()
        .json();
    assert_eq!(second["quarantine"][0]["aliases"], json!([other.alias]));
    assert_eq!(second["next"], Value::Null);

    call(&server, "POST", &format!("purge?alias={}", upload.alias)).ok();
    call(&server, "POST", &format!("purge?alias={}", other.alias)).ok();
    disk::assert_nothing_stored(&server);
    let log = call(&server, "GET", "audit").ok().json();
    let log = log["audit"].as_array().expect("a list").iter();
    let actions: Vec<_> = log
        .map(|entry| entry["action"].as_str().expect("a text"))
        .collect();
    let expected = [
        "purge",
        "purge",
        "quarantine",
        "quarantine",
        "release",
        "quarantine",
        "list",
    ];
    assert_eq!(actions, expected);
}

#[test]
fn a_proxied_picture_in_quarantine_is_not_fetched_again_and_again() {
    let server = quarantining().start();
    list(&server);
    let upstream = Upstream::serving(&pictures::png(&small()));
    let path = format!("/image/original?proxy={}", upstream.url("/bridge.png"));
    for _ in 0..3 {
        server.get(&path).refused(404, "alias-not-found");
    }
    assert_eq!(upstream.asked().len(), 1);
    let page = call(&server, "GET", "quarantine").ok().json();
    let alias = page["quarantine"][0]["aliases"][0]
        .as_str()
        .expect("an alias");
    call(&server, "DELETE", &format!("quarantine?alias={alias}")).status(204);
    server.get(&path).ok();
    assert_eq!(upstream.asked().len(), 1);
}

#[test]
fn a_purge_refuses_what_looks_like_the_picture_if_it_is_told_to() {
    let server = refusing();
    let upload = server.upload(BRIDGE);
    let other = pictures::png(&small());
    let kept = server.upload(&other);
    let route = format!("purge?alias={}&near=true", upload.alias);
    call(&server, "POST", &route).refused(400, "invalid-query");
    let answer = call(
        &server,
        "POST",
        &format!("{route}&block=true&reason=unwanted"),
    );
    let listed = answer.ok().json()["listed"].clone();
    let lists = call(&server, "GET", "pdq").ok().json()["lists"].clone();
    assert_eq!(lists, json!([{ "list": "", "hashes": 1 }]));
    let page = call(&server, "GET", "pdq/list").ok().json();
    assert_eq!(page["hashes"][0]["hash"], listed);
    assert_eq!(page["hashes"][0]["reason"], "unwanted");
    for (name, file) in lookalikes() {
        // What is there stays, so it can be uploaded under more names.
        let expected = if name == "small" { 201 } else { 400 };
        assert_eq!(
            server.upload_form("", &[File::new(&file)]).status,
            expected,
            "{name}"
        );
    }
    server.get(&format!("/image/original/{}", kept.alias)).ok();
    // A purge of what has no hash lists nothing.
    let tiny = server.upload(&pictures::png(&pictures::plain(3, 3)));
    let route = format!("purge?alias={}&block=true&near=true", tiny.alias);
    assert_eq!(
        call(&server, "POST", &route).ok().json()["listed"],
        Value::Null
    );
}

/// Scans `total` contents.
fn scan(server: &Server, total: usize) {
    let answer = call(server, "POST", "pdq/scan").status(202).json();
    assert_eq!(answer["scan"]["complete"], false);
    assert_eq!(answer["scan"]["total"], total);
    let scan = || call(server, "GET", "pdq").ok().json()["scan"].clone();
    eventually("the scan ends", || {
        (scan()["complete"] == true).then_some(())
    });
    assert_eq!(scan()["progress"], total);
}

#[test]
fn a_scan_finds_what_was_stored_before_the_list_and_without_a_hash() {
    let server = refusing();
    let found: Vec<_> = lookalikes()
        .iter()
        .map(|(_, file)| server.upload(file))
        .collect();
    let kept: Vec<_> = others().iter().map(|file| server.upload(file)).collect();
    list(&server);
    let data = server.data();
    let launch = server.stop();
    // As an older version has left them.
    database::change(
        &data,
        "UPDATE hashes SET pdq = NULL, pdq_quality = NULL WHERE width < 641",
    );
    let server = launch.start();
    assert_eq!(call(&server, "GET", "pdq").ok().json()["scan"], Value::Null);
    scan(&server, found.len() + kept.len());
    for upload in &found {
        server
            .get(&format!("/image/original/{}", upload.alias))
            .refused(404, "alias-not-found");
    }
    for upload in &kept {
        server
            .get(&format!("/image/original/{}", upload.alias))
            .ok();
    }
    let page = call(&server, "GET", "quarantine").ok().json();
    assert_eq!(
        page["quarantine"].as_array().expect("a list").len(),
        found.len()
    );
    // What was computed is found.
    let similar = call(&server, "GET", &format!("similar?hash={BRIDGE_PDQ}"))
        .ok()
        .json();
    let similar = similar["similar"].as_array().expect("a list");
    assert!(similar.len() >= 5, "{similar:?}");
    assert!(
        similar.iter().all(|one| one["quarantined"] == true),
        "{similar:?}"
    );
}

/// Of what has a hash only that of the upright picture is stored.
#[test]
fn a_scan_finds_turned_pictures_by_the_hashes_that_they_have() {
    let server = refusing();
    let files = lookalikes();
    let uploads: Vec<_> = files.iter().map(|(_, file)| server.upload(file)).collect();
    let found = call(&server, "GET", &format!("similar?hash={BRIDGE_PDQ}"));
    let found = found.ok().json()["similar"].as_array().map(Vec::len);
    assert_eq!(found, Some(files.len()));
    list(&server);
    scan(&server, files.len());
    for ((name, _), upload) in files.iter().zip(&uploads) {
        let answer = server.get(&format!("/image/original/{}", upload.alias));
        assert_eq!(answer.status, 404, "{name}");
    }
}

#[test]
fn what_was_released_is_not_matched_again() {
    let launch = quarantining();
    let server = launch.start();
    list(&server);
    let file = pictures::png(&small());
    let upload = server.upload(&file);
    let upstream = Upstream::serving(&pictures::jpeg(&small()));
    let proxied = format!("/image/original?proxy={}", upstream.url("/bridge.jpg"));
    server.get(&proxied).refused(404, "alias-not-found");
    let page = call(&server, "GET", "quarantine").ok().json();
    for one in page["quarantine"].as_array().expect("a list") {
        let alias = one["aliases"][0].as_str().expect("an alias");
        call(&server, "DELETE", &format!("quarantine?alias={alias}")).status(204);
    }
    scan(&server, 2);
    let original = format!("/image/original/{}", upload.alias);
    server.get(&original).ok();
    server.get(&proxied).ok();

    // Also when the file comes again after it was removed.
    let page = call(&server, "GET", "quarantine").ok().json();
    assert_eq!(page["quarantine"], json!([]));
    server
        .delete(&format!("/image/delete/{}/{}", upload.token, upload.alias))
        .status(204);
    let server = server
        .stop()
        .setting("media.pdq.on_match", "refuse")
        .start();
    let upload = server.upload(&file);
    let original = format!("/image/original/{}", upload.alias);
    server.get(&original).ok();

    // Until an administrator decides otherwise.
    let route = format!("quarantine?alias={}", upload.alias);
    call(&server, "POST", &route).status(201);
    server.get(&original).refused(404, "alias-not-found");
    call(&server, "DELETE", &route).status(204);
    server.get(&original).ok();
    call(&server, "POST", &format!("purge?alias={}", upload.alias)).ok();
    server.upload_refused("", &file, 400, "blocked");
}

#[test]
fn pictures_that_look_alike_are_found_nearest_first() {
    let server = refusing();
    let bridge = server.upload(BRIDGE);
    let turned = server.upload(&pictures::jpeg(&small().rotate270()));
    for file in others() {
        server.upload(&file);
    }
    let route = format!("similar?alias={}", bridge.alias);
    let all = found(call(&server, "GET", &route));
    assert_eq!(all[0], (bridge.alias.clone(), 0));
    assert_eq!(all[1].0, turned.alias);
    assert_eq!(all.len(), 2);
    let only = call(
        &server,
        "GET",
        &format!("similar?alias={}&limit=1", bridge.alias),
    );
    assert_eq!(found(only).len(), 1);
    // What is uploaded after a search is found by the next one, what is removed is not.
    let small = pictures::webp(&small());
    let later = server.upload(&small);
    server
        .delete(&format!("/image/delete/{}/{}", turned.token, turned.alias))
        .status(204);
    let ask = |files: &[File], query: &str| search(&server, files, query);
    let near = found(ask(&[File::new(&small)], ""));
    let near: Vec<_> = near.iter().map(|(alias, _)| alias).collect();
    assert_eq!(near, [&later.alias, &bridge.alias]);
    let all = found(ask(&[File::new(&small)], "?distance=0"));
    assert_eq!(all, [(later.alias.clone(), 0)]);
    // Nothing of what was sent stays.
    disk::assert_nothing_unfinished(&server);

    let route = format!("similar?alias={}&distance=129", bridge.alias);
    let message = call(&server, "GET", &route).refused(400, "invalid-query");
    assert!(message.contains("128"), "{message}");
    call(&server, "GET", "similar").refused(400, "invalid-query");
    call(&server, "GET", "similar?hash=abc").refused(400, "invalid-query");
    call(&server, "GET", "similar?alias=absent.png").refused(404, "alias-not-found");
    let tiny = pictures::png(&pictures::plain(3, 3));
    ask(&[File::new(&tiny)], "").refused(400, "no-pdq");
    ask(&[File::new(b"no picture")], "").refused(400, "discover-error");
    ask(&[File::new(&tiny), File::new(&tiny)], "").refused(400, "file-upload-error");
}

#[test]
fn a_list_is_added_whole_or_not_at_all() {
    let server = refusing();
    let bad = format!("{BRIDGE_PDQ}\nnot a hash\n");
    let message = send(&server, "pdq/list", bad.as_bytes()).refused(400, "invalid-list");
    assert!(message.contains("line 2"), "{message}");
    let long = format!("pdq/list?list={}", "a".repeat(101));
    send(&server, &long, BRIDGE_PDQ.as_bytes()).refused(400, "invalid-query");
    let lists = || call(&server, "GET", "pdq").ok().json()["lists"].clone();
    assert_eq!(lists(), json!([]));

    let hashes: String = (0..1234).map(|n| format!("{n:064x}\n")).collect();
    let answer = send(&server, "pdq/list?list=many", hashes.as_bytes())
        .status(201)
        .json();
    assert_eq!(answer["added"], 1234);
    let answer = send(&server, "pdq/list?list=many", hashes.as_bytes())
        .status(201)
        .json();
    assert_eq!(
        (&answer["added"], &answer["total"]),
        (&json!(0), &json!(1234))
    );
    send(&server, "pdq/list?list=few", BRIDGE_PDQ.as_bytes()).status(201);
    let expected = json!([{ "list": "few", "hashes": 1 }, { "list": "many", "hashes": 1234 }]);
    assert_eq!(lists(), expected);
    // All pages together have each entry once.
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = call(&server, "GET", &format!("pdq/list?limit=500{after}"))
            .ok()
            .json();
        let entries = page["hashes"].as_array().expect("a list").iter();
        found.extend(entries.map(|entry| entry["hash"].as_str().expect("a hash").to_owned()));
        let Some(next) = page["next"].as_str() else {
            break;
        };
        after = format!("&after={next}");
    }
    assert_eq!(found.len(), 1235);
    assert_eq!(found[0], BRIDGE_PDQ);
    call(&server, "GET", "pdq/list?after=x").refused(400, "invalid-query");
    // One list, and no other one's place in it.
    let page = |query: &str| {
        call(&server, "GET", &format!("pdq/list?{query}"))
            .ok()
            .json()
    };
    let few = page("list=few");
    assert_eq!(few["hashes"][0]["hash"], BRIDGE_PDQ);
    assert_eq!(few["hashes"][1], json!(null));
    let first = page("list=many&limit=1000");
    assert_eq!(first["hashes"][999]["hash"], format!("{:064x}", 999));
    let next = first["next"].as_str().expect("more");
    let second = page(&format!("list=many&after={next}"));
    assert_eq!(second["hashes"][0]["hash"], format!("{:064x}", 1000));
    assert_eq!(page("list=")["hashes"], json!([]));
    let other = format!("pdq/list?list=few&after={next}");
    call(&server, "GET", &other).refused(400, "invalid-query");

    let answer = call(&server, "DELETE", "pdq/list?list=many").ok().json();
    assert_eq!(answer["removed"], 1234);
    call(&server, "DELETE", "pdq/list?list=many").refused(404, "hash-not-found");
    call(&server, "DELETE", "pdq/list").refused(400, "invalid-query");
    assert_eq!(lists(), json!([{ "list": "few", "hashes": 1 }]));
}

#[test]
fn settings_that_cannot_work_are_refused_at_start() {
    for (key, value) in [("distance", 129), ("quality", 101)] {
        let refusal = Launch::new()
            .setting(&format!("media.pdq.{key}"), value)
            .refused();
        let text = format!("{refusal:?}");
        assert!(
            text.contains(&format!("media.pdq.{key} = {value}")),
            "{text}"
        );
    }
}
