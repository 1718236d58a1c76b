//! A server that speaks TLS, and changes its certificate while it runs.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustix::process::Signal;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Launch, Server, eventually};

/// A certificate and its key.
pub type Pair = CertifiedKey<KeyPair>;

/// A certificate that no authority knows.
pub fn pair() -> Pair {
    generate_simple_self_signed(["pict-rs.test".to_owned()]).expect("a certificate")
}

fn write(folder: &Path, certificate: &str, key: &str) {
    std::fs::write(folder.join("chain.pem"), certificate).expect("written");
    std::fs::write(folder.join("key.pem"), key).expect("written");
}

/// Writes a certificate to where the server of [`launch`] looks for it.
pub fn write_pair(folder: &Path, pair: &Pair) {
    write(folder, &pair.cert.pem(), &pair.signing_key.serialize_pem());
}

/// A server with TLS; its certificate has to be written into its folder.
pub fn launch() -> Launch {
    Launch::new()
        .setting("server.certificate", "chain.pem")
        .setting("server.private_key", "key.pem")
}

/// A server with this certificate.
pub fn start(pair: &Pair) -> (Server, std::path::PathBuf) {
    let launch = launch();
    let folder = launch.folder().to_owned();
    write_pair(&folder, pair);
    (launch.start(), folder)
}

/// A connection by somebody who trusts this certificate alone.
fn connect(
    server: &Server,
    trusted: &CertificateDer<'static>,
    protocols: &[&str],
) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    let name = ServerName::try_from("pict-rs.test").expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut socket = server.connect();
    while connection.is_handshaking() {
        connection
            .complete_io(&mut socket)
            .map_err(|error| error.to_string())?;
    }
    Ok(StreamOwned::new(connection, socket))
}

fn health(server: &Server, trusted: &CertificateDer<'static>) -> Result<(), String> {
    let mut stream = connect(server, trusted, &["http/1.1"])?;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: pict-rs.test\r\nConnection: close\r\n\r\n")
        .map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    // Whether the server says goodbye properly is not the question.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    Ok(())
}

#[test]
fn tls_is_served_to_who_trusts_the_certificate() {
    let ours = pair();
    let (server, _) = start(&ours);
    assert!(server.output().contains("listening on https://"));
    health(&server, ours.cert.der()).expect("trusted");
    let stranger = pair();
    health(&server, stranger.cert.der()).expect_err("not trusted");
    // Plain HTTP has no answer here, and harms nobody.
    let mut plain = server.connect();
    plain
        .write_all(b"GET /healthz HTTP/1.1\r\n\r\n")
        .expect("sent");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
    health(&server, ours.cert.der()).expect("trusted");
}

#[test]
fn http_2_is_agreed_upon_by_alpn() {
    let ours = pair();
    let (server, _) = start(&ours);
    let mut stream = connect(&server, ours.cert.der(), &["h2", "http/1.1"]).expect("trusted");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .expect("sent");
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).expect("a frame");
    assert_eq!(frame[3], 4, "SETTINGS come first: {frame:?}");
}

#[test]
fn a_hangup_without_tls_changes_nothing() {
    let server = Server::start();
    server.signal(Signal::HUP);
    server.get("/healthz").ok();
    // Succeeds only if the server ends well by itself.
    server.stop();
}

#[test]
fn a_new_certificate_is_taken_into_use_and_a_bad_one_is_not() {
    let old = pair();
    let (server, folder) = start(&old);
    health(&server, old.cert.der()).expect("trusted");

    let new = pair();
    write_pair(&folder, &new);
    server.signal(Signal::HUP);
    server.wait_for_output("a new TLS certificate is in use");
    health(&server, new.cert.der()).expect("trusted");
    health(&server, old.cert.der()).expect_err("gone");

    write(&folder, &old.cert.pem(), &new.signing_key.serialize_pem());
    server.signal(Signal::HUP);
    server.wait_for_output("the old TLS certificate stays in use");
    health(&server, new.cert.der()).expect("trusted");

    std::fs::remove_file(folder.join("key.pem")).expect("removed");
    server.signal(Signal::HUP);
    eventually("the missing file is told", || {
        let times = server.output().matches("stays in use").count();
        (times == 2).then_some(())
    });
    health(&server, new.cert.der()).expect("trusted");
}

#[test]
fn settings_that_cannot_make_tls_are_refused_by_name() {
    let one = pair();
    let check = |launch: Launch, code: i32, words: &[&str]| {
        // What a start would refuse, doctor finds as well.
        let doctor = launch.command().arg("doctor").output().expect("runs");
        let found = [doctor.stdout, doctor.stderr].concat();
        let found = String::from_utf8(found).expect("text");
        assert_eq!(doctor.status.code(), Some(code), "{found}");
        let refusal = launch.refused();
        assert_eq!(refusal.status.code(), Some(code));
        for word in words {
            assert!(refusal.output.contains(word), "{}", refusal.output);
            assert!(found.contains(word), "{found}");
        }
    };
    let half = Launch::new().setting("server.certificate", "chain.pem");
    check(half, 78, &["server.private_key", "server.certificate"]);
    check(launch(), 1, &["server.certificate = \"chain.pem\""]);

    let broken = launch();
    write(
        broken.folder(),
        "no certificate",
        &one.signing_key.serialize_pem(),
    );
    check(broken, 1, &["server.certificate", "holds no certificate"]);

    let broken = launch();
    write(broken.folder(), &one.cert.pem(), "no key");
    check(broken, 1, &["server.private_key"]);

    for key in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n\
         -----END RSA PRIVATE KEY-----\n",
    ] {
        let broken = launch();
        write(broken.folder(), &one.cert.pem(), key);
        let words = [
            "server.private_key = \"key.pem\"",
            "encrypted",
            "openssl pkey",
        ];
        check(broken, 1, &words);
    }

    let broken = launch();
    write(
        broken.folder(),
        &one.cert.pem(),
        &pair().signing_key.serialize_pem(),
    );
    check(broken, 1, &["do not belong together"]);
}
