//! A browser that is driven as a person would: Chromium, by ChromeDriver.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper::Method;
use serde_json::{Value, json};
use url::Url;

use super::programs;

/// A running ChromeDriver with one window of Chromium.
pub struct Browser {
    /// What drives it.
    pub client: Client,
    _driver: Driver,
    _profile: tempfile::TempDir,
}

/// Ends it, whatever comes.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Browser {
    /// Starts it with a window of this size. `None`, after a line that says so, where it is not
    /// installed.
    pub async fn start(test: &str, (width, height): (u32, u32), is_dark: bool) -> Option<Self> {
        let chromium = programs::find_or_skip("chromium", test)?;
        let program = programs::find_or_skip("chromedriver", test)?;
        let profile = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(program)
            .args(["--port=0", "--log-level=SEVERE"])
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let driver = Driver(child);
        let port: u16 = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver tells its port");
        // To the end, so that it never blocks.
        std::thread::spawn(move || lines.for_each(drop));
        let scheme = if is_dark { 0 } else { 1 };
        let options = json!({
            "binary": chromium,
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
                "--disable-sync", "--disable-background-networking", "--disable-component-update",
                "--disable-dev-shm-usage", "--force-color-profile=srgb", "--hide-scrollbars",
                format!("--user-data-dir={}", profile.path().join("data").display()),
                format!("--blink-settings=preferredColorScheme={scheme}"),
                format!("--window-size={width},{height}"),
            ],
        });
        let mut wanted = serde_json::Map::new();
        wanted.insert("goog:chromeOptions".to_owned(), options);
        wanted.insert("goog:loggingPrefs".to_owned(), json!({ "browser": "ALL" }));
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a window");
        let browser = Self {
            client,
            _driver: driver,
            _profile: profile,
        };
        // A window of a desktop cannot be as narrow as a phone.
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        browser
            .devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        Some(browser)
    }

    /// A command of Chromium's own protocol.
    async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        let answer = self
            .client
            .issue_cmd(Extension::Devtools(command, parameters));
        answer.await.expect("a command of Chromium")
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.expect("a page");
    }

    /// The first of these elements, once the page has one.
    async fn find(&self, locator: Locator<'_>) -> Element {
        let found = self.client.wait().for_element(locator).await;
        found.unwrap_or_else(|error| panic!("{locator:?}: {error}"))
    }

    /// What the page says in this element.
    pub async fn text(&self, css: &str) -> String {
        let found = self.find(Locator::Css(css)).await;
        found.text().await.expect("text")
    }

    /// Types a text, or the paths of files.
    pub async fn fill(&self, css: &str, text: &str) {
        let found = self.find(Locator::Css(css)).await;
        found.send_keys(text).await.expect("typed");
    }

    /// Clicks the button, link, summary or label with this text.
    pub async fn click(&self, text: &str) {
        let path = format!(
            "//*[self::button or self::a or self::summary or self::label][normalize-space()='{text}']"
        );
        let found = self.find(Locator::XPath(&path)).await;
        found.click().await.expect("clicked");
    }

    /// Clicks the first element.
    pub async fn press(&self, css: &str) {
        let found = self.find(Locator::Css(css)).await;
        found.click().await.expect("clicked");
    }

    /// How many elements there are.
    pub async fn count(&self, css: &str) -> usize {
        let found = self.client.find_all(Locator::Css(css)).await;
        found.expect("elements").len()
    }

    /// Waits until an element says this, perhaps on the page that a click led to.
    pub async fn sees(&self, css: &str, text: &str) {
        let script = "const [css, text, done] = arguments; const begun = Date.now();\
             const look = () => {\
                 const all = [...document.querySelectorAll(css)].map(one => one.innerText);\
                 if (all.some(one => one.includes(text))) { done('seen'); }\
                 else if (Date.now() - begun > 5000) { done(JSON.stringify(all)); }\
                 else { setTimeout(look, 20); }\
             }; look();";
        let mut last = String::new();
        for _ in 0..5 {
            // A page that goes away ends its script.
            last = match self.run(script, vec![css.into(), text.into()]).await {
                Ok(seen) if seen == "seen" => return,
                other => format!("{other:?}"),
            };
        }
        panic!("{css} never says {text}: {last}");
    }

    /// Waits until so many pictures are shown, and no other is broken.
    pub async fn wait_for_pictures(&self, count: usize) {
        // Short, because a script that runs while its page is left has no end.
        let script =
            "arguments[0]([...document.images].map(one => one.complete && one.naturalWidth > 0))";
        let mut seen = Value::Null;
        for _ in 0..400 {
            if let Ok(found) = self.run(script, Vec::new()).await {
                seen = found;
            }
            if seen == Value::from(vec![true; count]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{count} pictures are never shown: {seen}");
    }

    /// The browser's warnings and errors since the last look.
    pub async fn log(&self) -> Vec<Value> {
        let entries = self.client.issue_cmd(Extension::Log).await;
        let mut entries = entries.expect("a log").as_array().expect("entries").clone();
        entries.retain(|entry| {
            ["WARNING", "SEVERE"]
                .map(Value::from)
                .contains(&entry["level"])
        });
        entries
    }

    /// Keeps a picture of the whole page in the target folder, to be looked at.
    pub async fn keep(&self, name: &str) {
        let parameters = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", parameters).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture["data"].as_str().expect("base64"))
            .expect("base64");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(name).with_extension("png"), bytes).expect("written");
    }

    /// Closes the window.
    pub async fn end(self) {
        self.client.clone().close().await.expect("closed");
    }

    /// The result of a script.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value, CmdError> {
        self.client.execute_async(script, arguments).await
    }
}

/// Commands of Chromium that are not in the standard.
#[derive(Debug)]
enum Extension {
    Log,
    Devtools(&'static str, Value),
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&match self {
            Self::Log => format!("session/{session}/se/log"),
            Self::Devtools(..) => format!("session/{session}/goog/cdp/execute"),
        })
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = match self {
            Self::Log => json!({ "type": "browser" }),
            Self::Devtools(command, parameters) => json!({ "cmd": command, "params": parameters }),
        };
        (Method::POST, Some(body.to_string()))
    }
}
