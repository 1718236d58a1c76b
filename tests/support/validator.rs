//! An external validation: a little HTTP server that remembers what it was asked and answers as
//! it is told.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A question, as it came over the wire.
#[derive(Clone, Debug)]
pub struct Question {
    /// `POST /scan HTTP/1.1`
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Question {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Lives as long as the test program; the threads of a dropped one wait for connections that
/// never come.
pub struct Validator {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    /// `None` never answers.
    status: Option<u16>,
    /// Answers that come before that, one each.
    first: VecDeque<u16>,
    questions: Vec<Question>,
}

impl Validator {
    /// Answers everything with this status.
    pub fn start(status: u16) -> Self {
        Self::start_on(
            TcpListener::bind("127.0.0.1:0").expect("a free port"),
            status,
        )
    }

    /// The same on a socket that listens already.
    pub fn start_on(listener: TcpListener, status: u16) -> Self {
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State {
            status: Some(status),
            first: VecDeque::new(),
            questions: Vec::new(),
        }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || serve(&stream, &state));
            }
        });
        Self { address, state }
    }

    pub fn url(&self) -> String {
        format!("http://{}/scan", self.address)
    }

    /// From now on answers with this; `None` takes questions and says nothing.
    pub fn answer(&self, status: Option<u16>) {
        lock(&self.state).status = status;
    }

    /// Answers the next questions with these, one each.
    pub fn answer_first(&self, statuses: &[u16]) {
        lock(&self.state).first = statuses.iter().copied().collect();
    }

    /// All questions so far.
    pub fn questions(&self) -> Vec<Question> {
        lock(&self.state).questions.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that breaks is the other side's affair.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let question = read(&mut reader)?;
        let status = {
            let mut state = lock(state);
            state.questions.push(question);
            state.first.pop_front().or(state.status)
        };
        let Some(status) = status else {
            std::thread::sleep(Duration::from_secs(3600));
            return None;
        };
        let answer =
            format!("HTTP/1.1 {status} x\r\nContent-Length: 16\r\n\r\n{{\"success\":true}}");
        (&mut &*stream).write_all(answer.as_bytes()).ok()?;
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Question> {
    let mut line = || {
        let mut line = String::new();
        let read = reader.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = Vec::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut question = Question {
        line: first,
        headers,
        body: Vec::new(),
    };
    let length = question.header("content-length").unwrap_or("0");
    let length: usize = length.parse().expect("a number");
    question.body = vec![0; length];
    reader.read_exact(&mut question.body).ok()?;
    Some(question)
}
