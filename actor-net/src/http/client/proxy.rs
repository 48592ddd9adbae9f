//! [`Proxy`], and which way a request goes.

use std::env;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::header::HeaderValue;
use http::uri::Uri;

use super::error::FetchError;
use super::origin::{self, Origin};

/// A proxy, and for whom it is not to be asked.
///
/// What is `http` is asked of the proxy itself; for what is `https` it is asked for a way to the server
/// (`CONNECT`), so that it sees no more than the server's name. The client speaks plain HTTP with it.
///
/// ```
/// use actor_net::http::{HttpClient, Proxy};
///
/// let proxy = Proxy::new("http://name:password@proxy.example:3128").unwrap();
/// let client = HttpClient::builder().proxy(proxy.except("localhost, .internal.example")).build();
/// ```
#[derive(Clone)]
pub struct Proxy {
    pub(super) place: Arc<Place>,
    except: Vec<Except>,
}

/// Where a proxy is, and what it wants to know.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    /// The proxy at a URL, whose scheme is `http` and may be left out. A name and a password in it are for the
    /// proxy. The port is 80 unless it says something else.
    ///
    /// # Errors
    ///
    /// [`FetchError::Request`] if it is no such URL.
    ///
    /// ```
    /// use actor_net::http::Proxy;
    ///
    /// assert!(Proxy::new("localhost:3128").is_ok());
    /// assert!(Proxy::new("socks5://localhost").is_err());
    /// ```
    pub fn new(url: &str) -> Result<Proxy, FetchError> {
        let full = match url.contains("://") {
            true => url.to_owned(),
            false => format!("http://{url}"),
        };
        let mut uri: Uri = full
            .parse()
            .map_err(|_| FetchError::Request("the proxy's URL is malformed"))?;
        let authorization = origin::take_user(&mut uri)?;
        let origin = Origin::of(&uri)?;
        if origin.secure {
            return Err(FetchError::Request(
                "proxies that are asked by https are not supported",
            ));
        }
        Ok(Proxy {
            place: Arc::new(Place {
                host: origin.host,
                port: origin.port,
                authorization,
            }),
            except: Vec::new(),
        })
    }

    /// Servers that are asked directly: names, which stand for all names below them as well, addresses, ranges of
    /// addresses (`10.0.0.0/8`), each perhaps with a port, with commas between; or `*` for all. As in the
    /// variable `no_proxy`.
    ///
    /// ```
    /// use actor_net::http::Proxy;
    ///
    /// let proxy = Proxy::new("proxy.example:3128").unwrap().except("localhost, 10.0.0.0/8, example.org:8080");
    /// ```
    pub fn except(mut self, list: &str) -> Proxy {
        let entries = list.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        self.except.extend(entries.map(Except::new));
        self
    }

    fn serves(&self, origin: &Origin) -> bool {
        !self.except.iter().any(|except| except.is_met(origin))
    }
}

impl fmt::Debug for Proxy {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.place).finish()
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One entry of the list.
#[derive(Clone, Debug)]
struct Except {
    whom: Whom,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Whom {
    All,
    /// A name, and those below it.
    Name(String),
    /// Those addresses whose first bits are these.
    Network(IpAddr, u8),
}

impl Except {
    fn new(entry: &str) -> Except {
        if entry == "*" {
            return Except {
                whom: Whom::All,
                port: None,
            };
        }
        let address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        if let Some(address) = address(entry) {
            let whom = Whom::Network(address, 128);
            return Except { whom, port: None };
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, digits)) if digits.parse::<u16>().is_ok() => (host, digits.parse().ok()),
            _ => (entry, None),
        };
        let network = host.split_once('/').and_then(|(net, bits)| {
            let bits = bits.parse().ok()?;
            Some(Whom::Network(address(net)?, bits))
        });
        let whom = network
            .or_else(|| Some(Whom::Network(address(host)?, 128)))
            .unwrap_or_else(|| {
                let name = host.trim_start_matches("*.").trim_start_matches('.');
                Whom::Name(name.to_ascii_lowercase())
            });
        Except { whom, port }
    }

    fn is_met(&self, origin: &Origin) -> bool {
        if self.port.is_some_and(|port| port != origin.port) {
            return false;
        }
        match &self.whom {
            Whom::All => true,
            Whom::Name(name) => {
                let host = origin.host.trim_end_matches('.');
                host.strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Whom::Network(network, bits) => match (network, origin.host.parse()) {
                (IpAddr::V4(network), Ok(IpAddr::V4(host))) => {
                    let shift = 32 - u32::from(*bits).min(32);
                    let first = |addr: u32| addr.checked_shr(shift).unwrap_or(0);
                    first(network.to_bits()) == first(host.to_bits())
                }
                (IpAddr::V6(network), Ok(IpAddr::V6(host))) => {
                    let shift = 128 - u32::from(*bits).min(128);
                    let first = |addr: u128| addr.checked_shr(shift).unwrap_or(0);
                    first(network.to_bits()) == first(host.to_bits())
                }
                _ => false,
            },
        }
    }
}

/// The proxies of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    /// For what is `http`, and for what is `https`.
    pub(super) plain: Option<Proxy>,
    pub(super) secure: Option<Proxy>,
}

impl Proxies {
    pub(super) fn all(proxy: Proxy) -> Proxies {
        Proxies {
            plain: Some(proxy.clone()),
            secure: Some(proxy),
        }
    }

    /// What the environment says. `HTTP_PROXY` in capitals is passed over: in a program that a web server runs it
    /// is a header of whoever asks.
    pub(super) fn of_environment() -> Result<Proxies, FetchError> {
        Proxies::of_variables(|name| env::var(name).ok())
    }

    fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Proxies, FetchError> {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| variable(name));
            values.find(|value| !value.is_empty())
        };
        let except = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        let proxy = |names| {
            let url = first(names);
            url.map(|url| Ok::<_, FetchError>(Proxy::new(&url)?.except(&except)))
                .transpose()
        };
        Ok(Proxies {
            plain: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"])?,
            secure: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
        })
    }

    /// The way to a server; through the proxy, and not by it, for another protocol.
    pub(super) fn route(&self, origin: Origin, upgrade: bool) -> Route {
        let proxy = match origin.secure {
            true => &self.secure,
            false => &self.plain,
        };
        match proxy {
            Some(proxy) if proxy.serves(&origin) => {
                let place = Arc::clone(&proxy.place);
                match origin.secure || upgrade {
                    true => Route::Tunnel(place, origin),
                    false => Route::Forward(place),
                }
            }
            _ => Route::Direct(origin),
        }
    }
}

/// The way that a connection takes. Connections of the same way can be used for the same requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Route {
    Direct(Origin),
    /// The proxy asks the server.
    Forward(Arc<Place>),
    /// The proxy passes on bytes.
    Tunnel(Arc<Place>, Origin),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::of(&url.parse().unwrap()).unwrap()
    }

    #[test]
    fn those_who_are_excepted_are_asked_directly() {
        let list = "localhost, .example.com,*.example.org, 10.0.0.0/8, 192.168.1.1, [::1], fd00::/8, a.b:8080";
        let proxy = Proxy::new("p:1").unwrap().except(list);
        let direct = [
            "http://localhost:81",
            "http://EXAMPLE.com",
            "https://www.example.com",
            "http://x.example.org",
            "http://10.1.2.3",
            "http://192.168.1.1",
            "http://[::1]",
            "http://[fd12::1]",
            "http://a.b:8080",
        ];
        for url in direct {
            assert!(!proxy.serves(&origin(url)), "{url}");
        }
        let asked = [
            "http://notexample.com",
            "http://11.0.0.1",
            "http://192.168.1.2",
            "http://[fe00::1]",
            "http://a.b",
            "http://example.com.evil",
        ];
        for url in asked {
            assert!(proxy.serves(&origin(url)), "{url}");
        }
        let none = Proxy::new("p:1").unwrap().except("*");
        assert!(!none.serves(&origin("http://a")));
        let all = Proxy::new("p:1").unwrap().except("0.0.0.0/0");
        assert!(!all.serves(&origin("http://1.2.3.4")));
    }

    #[test]
    fn the_environment_says_which_proxy() {
        let proxies = Proxies::of_variables(|name| {
            let value = match name {
                "http_proxy" => "http://u:p@one:3128",
                "HTTPS_PROXY" => "two:3129",
                "HTTP_PROXY" => "evil:1",
                "no_proxy" => "direct",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .unwrap();
        let route = |url, upgrade| proxies.route(origin(url), upgrade);
        let Route::Forward(one) = route("http://a", false) else {
            panic!("not by the proxy");
        };
        assert_eq!((one.host.as_str(), one.port), ("one", 3128));
        assert!(one.authorization.is_some());
        assert!(matches!(route("http://a", true), Route::Tunnel(..)));
        let Route::Tunnel(two, _) = route("https://a", false) else {
            panic!("not through the proxy");
        };
        assert_eq!((two.host.as_str(), two.port), ("two", 3129));
        assert!(matches!(route("http://direct", false), Route::Direct(_)));
        assert!(matches!(route("https://x.direct", false), Route::Direct(_)));
        assert!(!format!("{proxies:?}").contains("Basic"));

        let only_capitals = |name: &str| (name == "HTTP_PROXY").then(|| "evil:1".to_owned());
        let proxies = Proxies::of_variables(only_capitals).unwrap();
        assert!(proxies.plain.is_none());
    }
}
