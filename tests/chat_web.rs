//! The chat on a page, in a browser: Chromium without a window, driven by its own protocol through our own
//! WebSocket client.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Client, PATIENCE, Program, eventually, example};
use concurrence::net::http::ws::{CloseCode, WebSocket, WsConnector, WsOptions, WsReader};
use serde_json::{Value, json};

/// A browser, and the way to tell it what to do.
struct Browser {
    socket: std::sync::Mutex<WebSocket>,
    issued: AtomicU64,
    profile: PathBuf,
    _program: Program,
}

impl Browser {
    fn start() -> Browser {
        let found = Command::new("chromium").arg("--version").output();
        assert!(
            found.is_ok(),
            "Chromium is missing: apt-get install chromium"
        );
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = format!("chat-web-{}-{number}", std::process::id());
        let profile = std::env::temp_dir().join(profile);
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args([
                "--no-first-run",
                "--disable-background-networking",
                "--lang=en",
            ])
            .args(["--remote-debugging-port=0", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.display()));
        let program = Program::start(&mut command);
        let mut url = None;
        eventually("the browser's address", || {
            let log = program.log();
            let line = log
                .lines()
                .find_map(|line| line.strip_prefix("DevTools listening on "));
            // The last line may not have come completely.
            url = line.filter(|_| log.ends_with('\n')).map(str::to_owned);
            url.is_some()
        });
        let options = WsOptions::default().with(|options| {
            options.message = 64 << 20; // a picture is one message
            options.frame = 64 << 20;
            options.ping = None;
        });
        let socket = WsConnector::new()
            .options(options)
            .timeout(PATIENCE)
            .connect(&url.unwrap_or_default())
            .unwrap();
        Browser {
            socket: socket.into(),
            issued: AtomicU64::new(0),
            profile,
            _program: program,
        }
    }

    /// Has something done, and waits until that is so.
    fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.issued.fetch_add(1, Ordering::Relaxed);
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut socket = self.socket.lock().unwrap();
        socket.send(command.to_string()).unwrap();
        loop {
            let message = socket.read().unwrap().expect("the browser is there");
            let answer: Value = serde_json::from_slice(message.as_bytes()).unwrap();
            if answer["id"] == id {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// Opens a page as if in a browser of its own.
    fn open(&self, url: &str) -> Page<'_> {
        let context = self.call(None, "Target.createBrowserContext", json!({}));
        let context = &context["browserContextId"];
        let blank = json!({ "url": "about:blank", "browserContextId": context });
        let target = self.call(None, "Target.createTarget", blank);
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call(None, "Target.attachToTarget", attach);
        let page = Page {
            browser: self,
            session: session["sessionId"].as_str().unwrap().to_owned(),
        };
        page.call("Page.enable", json!({}));
        page.call("Page.navigate", json!({ "url": url }));
        page.comes("document.readyState === 'complete' && location.href !== 'about:blank'");
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The program is killed after this, and may still write into it.
        let _ = fs::remove_dir_all(&self.profile);
    }
}

struct Page<'a> {
    browser: &'a Browser,
    session: String,
}

impl Page<'_> {
    fn call(&self, method: &str, params: Value) -> Value {
        self.browser.call(Some(&self.session), method, params)
    }

    /// The value of an expression of the page's.
    fn value(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params);
        assert!(
            result["exceptionDetails"].is_null(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    fn text(&self, id: &str) -> String {
        let text = self.value(&format!("document.getElementById('{id}').innerText"));
        text.as_str().unwrap().to_owned()
    }

    /// Waits until an expression is true.
    fn comes(&self, expression: &str) {
        eventually(expression, || self.value(expression) == true);
    }

    /// Waits until a line of the log says so.
    fn shows(&self, line: &str) {
        let line = Value::from(line);
        self.comes(&format!(
            "[...document.querySelectorAll('#log li')].some(li => li.innerText === {line})"
        ));
    }

    fn key(&self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "char", "keyUp"] {
            let mut params = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            if kind == "char" {
                if key != "Enter" {
                    continue;
                }
                params["text"] = "\r".into();
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    /// Types a text and the key that ends it, where the focus is.
    fn types(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
        self.key("Enter", 13);
    }

    fn tab(&self) -> String {
        self.key("Tab", 9);
        self.focus()
    }

    fn focus(&self) -> String {
        let focus = self.value("document.activeElement.id || document.activeElement.tagName");
        focus.as_str().unwrap().to_owned()
    }

    fn size(&self, width: u32, height: u32, is_phone: bool) {
        let params = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone,
        });
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    fn prefers(&self, feature: &str, value: &str) {
        let params = json!({ "features": [{ "name": feature, "value": value }] });
        self.call("Emulation.setEmulatedMedia", params);
    }

    /// A picture of it, for people to look at.
    fn picture(&self, name: &str) {
        let picture = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let picture = picture["data"].as_str().unwrap();
        let picture = data_encoding::BASE64.decode(picture.as_bytes()).unwrap();
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("chat_web-{name}.png"));
        fs::write(path, picture).unwrap();
    }

    /// Nothing sticks out at the side.
    fn fits(&self) {
        let widths = self.value("[document.documentElement.scrollWidth, innerWidth]");
        assert!(widths[0].as_u64() <= widths[1].as_u64(), "{widths}");
        let lowest = self
            .value("document.getElementById('say').getBoundingClientRect().bottom - innerHeight");
        assert!(
            lowest.as_f64().unwrap() <= 0.5,
            "the form ends {lowest} pixels below the page"
        );
    }

    fn joins(&self, name: &str) {
        assert_eq!(self.focus(), "name");
        self.types(name);
        self.comes("document.getElementById('status').innerText.startsWith('connected as')");
        assert_eq!(self.focus(), "text");
    }
}

struct Chat {
    program: Option<Program>,
    web: SocketAddr,
    telnet: SocketAddr,
}

impl Chat {
    fn start() -> Chat {
        let program = Program::start(example("chat_web").args(["127.0.0.1:0"; 2]));
        Chat {
            web: program.address_of("server"),
            telnet: program.address_of("telnet"),
            program: Some(program),
        }
    }

    fn run(web: SocketAddr, telnet: SocketAddr) -> Program {
        let program =
            Program::start(example("chat_web").args([web.to_string(), telnet.to_string()]));
        program.wait_for(&format!("addr={web}"));
        program.wait_for(&format!("addr={telnet}"));
        program
    }

    fn stop(&mut self) {
        let program = self.program.take().unwrap();
        program.signal(libc::SIGTERM);
        let ended = program.ended();
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    }

    fn restart(&mut self) {
        self.program = Some(Chat::run(self.web, self.telnet));
    }

    fn url(&self) -> String {
        format!("http://{}/", self.web)
    }

    /// As a page does, without a browser.
    fn enter(&self, name: &str) -> WebSocket {
        let url = format!("ws://{}/chat", self.web);
        let connector = WsConnector::new().timeout(PATIENCE);
        let mut socket = connector.connect(&url).unwrap();
        socket.send(name).unwrap();
        let here = socket.read().unwrap().expect("a welcome");
        let begin = format!("here\t{name}");
        assert!(here.as_text().is_some_and(|text| text.starts_with(&begin)));
        socket
    }

    fn telnet(&self, name: &str) -> Telnet {
        let mut telnet = Telnet(Client::connect(self.telnet));
        telnet.expect("what is your name?");
        telnet.say(name);
        telnet
    }
}

struct Telnet(Client);

impl Telnet {
    fn say(&mut self, line: &str) {
        self.0.send(&format!("{line}\r\n"));
    }

    /// Reads up to this line.
    fn expect(&mut self, line: &str) {
        while self.0.line() != line {}
    }
}

#[test]
fn browsers_and_telnet_clients_share_a_room() {
    let mut chat = Chat::start();
    let browser = Browser::start();

    let ann = browser.open(&chat.url());
    ann.size(1280, 800, false);
    ann.picture("join");
    ann.joins("Ann");
    assert_eq!(ann.text("people"), "Ann (you)");
    let mut cleo = chat.telnet("Cleo");
    cleo.expect("you are Cleo; type 'quit' to exit..");
    cleo.expect("here: Ann");
    ann.shows("Cleo has come");
    let bob = browser.open(&chat.url());
    bob.size(360, 740, true);
    bob.joins("Bob");
    ann.shows("Bob has come");
    cleo.expect("* Bob has come");
    ann.comes("document.getElementById('count').innerText === '3'");
    bob.comes("document.getElementById('people').innerText.split('\\n').sort().join() === 'Ann,Bob (you),Cleo'");

    // Each hears the others, and itself.
    ann.types("hello from a browser");
    ann.shows("You\nhello from a browser");
    bob.shows("Ann\nhello from a browser");
    cleo.expect("Ann: hello from a browser");
    cleo.say("hello from a terminal");
    cleo.expect("Cleo: hello from a terminal");
    ann.shows("Cleo\nhello from a terminal");
    bob.shows("Cleo\nhello from a terminal");
    bob.types("grüße vom Telefon 😀");
    cleo.expect("Bob: grüße vom Telefon 😀");
    ann.shows("Bob\ngrüße vom Telefon 😀");

    // What others write is text, whatever it looks like.
    let markup = "<img src=x onerror=\"document.title='taken'\"><b>bold</b> &amp; </script>";
    cleo.say(markup);
    cleo.expect(&format!("Cleo: {markup}"));
    ann.shows(&format!("Cleo\n{markup}"));
    assert_eq!(
        ann.value("document.querySelectorAll('#log img, #log b').length"),
        0
    );
    let mut mallory = chat.telnet("<b>Mallory</b>");
    mallory.expect("you are <b>Mallory</b>; type 'quit' to exit..");
    ann.shows("<b>Mallory</b> has come");
    assert_eq!(ann.value("document.querySelectorAll('aside b').length"), 0);
    assert_eq!(ann.value("document.title"), "Chat");

    // Long lines and names are cut or broken, not let out at the side.
    let mut long = chat.telnet(&"N".repeat(200));
    let name = "N".repeat(40);
    long.expect(&format!("you are {name}; type 'quit' to exit.."));
    long.say(&"W".repeat(1500));
    ann.shows(&format!("{name}\n{}", "W".repeat(1500)));
    bob.shows(&format!("{name}\n{}", "W".repeat(1500)));
    ann.fits();
    bob.fits();
    cleo.say("Is everything still in its place?");
    ann.types("It is.");
    bob.shows("Ann\nIt is.");
    ann.picture("desktop");
    bob.picture("phone");
    bob.prefers("prefers-color-scheme", "dark");
    ann.prefers("prefers-color-scheme", "dark");
    ann.picture("desktop-dark");
    bob.picture("phone-dark");

    // Whoever leaves is seen to.
    mallory.say("quit");
    ann.shows("<b>Mallory</b> has left");
    bob.call("Page.navigate", json!({ "url": "about:blank" }));
    ann.shows("Bob has left");

    // The same name again is another one.
    let other = browser.open(&chat.url());
    other.size(360, 740, true);
    other.joins("Ann");
    assert_eq!(other.text("status"), "connected as Ann (2)");
    ann.shows("Ann (2) has come");

    // A restart: the page says so, keeps what is being written, and comes back by itself.
    ann.call("Input.insertText", json!({ "text": "half a thought" }));
    chat.stop();
    ann.comes("!document.getElementById('trouble').hidden");
    ann.comes("document.getElementById('send').disabled");
    ann.shows("The connection is lost.");
    other.comes("!document.getElementById('trouble').hidden");
    ann.comes("log.scrollHeight - log.scrollTop - log.clientHeight < 2");
    ann.picture("lost");
    other.picture("lost-phone");
    assert_eq!(
        ann.value("document.getElementById('text').value"),
        "half a thought"
    );
    ann.key("Enter", 13);
    assert_eq!(
        ann.value("document.getElementById('text').value"),
        "half a thought"
    );
    chat.restart();
    ann.comes("document.getElementById('trouble').hidden");
    ann.shows("You are connected again.");
    other.comes("document.getElementById('trouble').hidden");
    let mut dora = chat.telnet("Dora");
    ann.shows("Dora has come");
    ann.key("Enter", 13);
    dora.expect("you are Dora; type 'quit' to exit..");
    eventually("what Ann has written", || {
        dora.0.line().ends_with(": half a thought")
    });
}

#[test]
fn the_page_can_be_used_with_the_keyboard_and_a_reader() {
    let chat = Chat::start();
    let browser = Browser::start();
    let page = browser.open(&chat.url());
    page.size(1280, 800, false);
    // Without a name there is no way in.
    page.key("Enter", 13);
    assert_eq!(page.focus(), "name");
    assert_eq!(page.tab(), "BUTTON");
    page.call(
        "Runtime.evaluate",
        json!({ "expression": "document.getElementById('name').focus()" }),
    );
    page.joins("Ann");
    assert_eq!(page.tab(), "send");
    page.call(
        "Runtime.evaluate",
        json!({ "expression": "document.getElementById('log').focus()" }),
    );
    assert_eq!(page.focus(), "log");
    assert_eq!(page.tab(), "text");
    // Each field has a label, and what changes by itself is announced.
    let unlabelled =
        "[...document.querySelectorAll('input')].filter(input => !input.labels.length).length";
    assert_eq!(page.value(unlabelled), 0);
    for (id, role) in [("log", "log"), ("status", "status"), ("trouble", "alert")] {
        assert_eq!(
            page.value(&format!(
                "document.getElementById('{id}').getAttribute('role')"
            )),
            role
        );
    }
    // Text can be read, in both schemes: the contrast is at least 4.5 to 1.
    page.types("hello");
    page.shows("You\nhello");
    for scheme in ["light", "dark"] {
        page.prefers("prefers-color-scheme", scheme);
        let low = page.value(CONTRASTS);
        assert_eq!(low, json!([]), "{scheme}");
    }
    // Nothing moves for those who do not like that.
    let animation = "getComputedStyle(document.querySelector('#log li')).animationName";
    assert_eq!(page.value(animation), "appear");
    page.prefers("prefers-reduced-motion", "reduce");
    assert_eq!(page.value(animation), "none");
}

/// The texts that stand out less than they should from what is behind them.
const CONTRASTS: &str = r"(() => {
    const numbers = (color) => color.match(/[\d.]+/g).map(Number);
    const light = (color) => {
        const [r, g, b] = numbers(color).map((part) => {
            part /= 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        for (; element; element = element.parentElement) {
            const color = getComputedStyle(element).backgroundColor;
            const parts = numbers(color);
            if (parts.length === 3 || parts[3] > 0) return color;
        }
        return 'rgb(255, 255, 255)';
    };
    return [...document.querySelectorAll('h1, h2, p, li, span, button, input')]
        .filter((element) => element.checkVisibility() && !element.disabled)
        .map((element) => {
            const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
            return [element.tagName + '#' + element.id, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
        })
        .filter(([, contrast]) => contrast < 4.5);
})()";

/// A page of another site may not use the chat in the name of whoever looks at it.
#[test]
fn other_pages_are_kept_out() {
    let chat = Chat::start();
    let url = format!("ws://{}/chat", chat.web);
    let evil = WsConnector::new()
        .header("origin", "http://evil.example")
        .timeout(Duration::from_secs(30));
    assert_eq!(evil.connect(&url).unwrap_err().status().unwrap(), 403);
    let own = WsConnector::new().header("origin", format!("http://{}", chat.web));
    let mut socket = own.connect(&url).unwrap();
    socket.send("Ann").unwrap();
    assert_eq!(socket.read().unwrap(), Some("here\tAnn".into()));
    socket.close(CloseCode::NORMAL, "").unwrap();
}

/// Pages that say as much as they can cost the program no memory: they wait for the room, which is busy telling
/// what they have said before.
#[test]
fn pages_that_flood_take_no_memory() {
    const GUESTS: usize = 20;
    const FLOODS: usize = 5;
    const LINES: u64 = 15_000;
    // What waits for all of them, should they be slow, is less.
    const MOST: u64 = 4 << 20;
    let chat = Chat::start();
    let program = chat.program.as_ref().unwrap();
    // Counts what comes.
    let read = |mut reader: WsReader| {
        let heard = Arc::new(AtomicU64::new(0));
        let count = heard.clone();
        let reading = thread::spawn(move || {
            while let Ok(Some(_)) = reader.read() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        (heard, reading)
    };
    // Each makes the room slower, but not the pages that flood.
    let guests: Vec<_> = (0..GUESTS)
        .map(|n| chat.enter(&format!("Guest {n}")).split())
        .map(|(reader, writer)| (read(reader), writer))
        .collect();
    let floods: Vec<_> = (0..FLOODS)
        .map(|n| chat.enter(&format!("Flood {n}")).split())
        .map(|(reader, writer)| (read(reader), writer))
        .collect();
    let before = program.resident();
    let floods: Vec<_> = floods
        .into_iter()
        .map(|(reading, mut flood)| {
            // Until it is sent away, or the program has gone.
            let flooding = thread::spawn(move || while flood.send("xxxxxxxxxx").is_ok() {});
            (reading, flooding)
        })
        .collect();
    eventually("the flood's lines", || {
        let more = program.resident().saturating_sub(before);
        assert!(more < MOST, "{more} bytes more");
        // One that does not keep up with what it is told is sent away, and has flooded enough.
        floods.iter().all(|((heard, reading), _)| {
            heard.load(Ordering::Relaxed) >= LINES || reading.is_finished()
        })
    });
    drop(chat);
    for ((_, reading), flooding) in floods {
        reading.join().unwrap();
        flooding.join().unwrap();
    }
    for ((_, reading), _writer) in guests {
        reading.join().unwrap();
    }
}
