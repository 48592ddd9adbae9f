//! How a service is called, and what becomes of its future.

use super::*;

#[test]
fn requests_are_answered() {
    in_tasklet(|| {
        let server = serve(async |request: Request<RequestBody>| {
            let line = format!("{} {}", request.method(), request.uri().path());
            match request.uri().path() {
                "/empty" => text(""),
                "/peer" => text(server::peer().unwrap().addr().to_string()),
                _ => text(line),
            }
        });
        let mut client = Client::of(&server);
        let all = ["/", "/a", "/empty"].map(get).concat();
        client.send(all + "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + &get("/last"));
        assert_eq!(client.body(), "GET /");
        assert_eq!(client.body(), "GET /a");
        assert_eq!(client.body(), "");
        assert!(client.head().contains("content-length: 6\r\n"));
        assert_eq!(client.body(), "GET /last");
        client.send(get("/peer"));
        let addr = client.0.local_addr().unwrap();
        assert_eq!(client.body(), addr.to_string());
    });
}

/// Ready at the second look.
struct Busy {
    looks: usize,
    ready: Arc<Awaited<Result<(), &'static str>>>,
}

impl Clone for Busy {
    fn clone(&self) -> Busy {
        Busy {
            looks: 0,
            ready: self.ready.clone(),
        }
    }
}

impl Service<Request<RequestBody>> for Busy {
    type Response = Response<RequestBody>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<RequestBody>, &'static str>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.looks += 1;
        self.ready.poll(context)
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        assert!(self.looks > 1, "the same is called that was ready");
        std::future::ready(Ok(text("ready")))
    }
}

#[test]
fn a_service_is_called_when_it_is_ready() {
    in_tasklet(|| {
        let ready = Awaited::new();
        let looks = 0;
        let server = spawn(tower(Busy {
            looks,
            ready: ready.clone(),
        }));
        let mut client = Client::of(&server);
        client.send(get("/"));
        eventually("it is asked", || ready.is_waited_for());
        let waker = thread::spawn({
            let ready = ready.clone();
            move || ready.bring(Ok(()))
        });
        assert_eq!(client.body(), "ready");
        waker.join().unwrap();
        // One that never will be is a failure of the service, and not of the connection.
        ready.bring(Err("out of order"));
        client.send(get("/"));
        assert!(client.answer().0.starts_with("HTTP/1.1 500 "));
        client.send(get("/"));
        eventually("it is asked again", || ready.is_waited_for());
        ready.bring(Ok(()));
        assert_eq!(client.body(), "ready");
    });
}

#[test]
fn a_panic_is_answered_for() {
    in_tasklet(|| {
        let server = serve(async |request: Request<RequestBody>| {
            if request.uri().path() == "/panic" {
                panic!("a service that panics");
            }
            text("well")
        });
        let mut client = Client::of(&server);
        client.send([get("/"), get("/panic"), get("/")].concat());
        assert_eq!(client.body(), "well");
        let rest = client.rest();
        assert!(rest.starts_with("HTTP/1.1 500 "), "{rest}");
        assert!(rest.contains("connection: close\r\n"), "{rest}");
        eventually("the connection has gone", || server.connections() == 0);
    });
}

/// Notices its end.
struct Ends(Arc<Event>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.set();
    }
}

#[test]
fn a_kill_drops_the_future() {
    in_tasklet(|| {
        let (waits, ended) = (Awaited::<()>::new(), Arc::new(Event::new()));
        let server = serve({
            let (waits, ended) = (waits.clone(), ended.clone());
            move |_| {
                let (waits, ends) = (waits.clone(), Ends(ended.clone()));
                async move {
                    waits.get().await;
                    drop(ends);
                    text("never")
                }
            }
        });
        let mut client = Client::of(&server);
        client.send(get("/"));
        eventually("it waits", || waits.is_waited_for());
        server.tasklet().kill();
        ended.wait();
        assert_eq!(client.rest(), "");
        // A waker that is left wakes nobody.
        waits.bring(());
    });
}

/// What tower knows nothing of rides in the extensions of the answer.
#[test]
fn an_upgrade_passes_through_a_service() {
    in_tasklet(|| {
        let server = serve(async |_: Request<RequestBody>| {
            let mut switching = Response::new(());
            *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let echo = |mut stream: Upgraded| {
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                stream.write_all(text.to_uppercase().as_bytes())
            };
            let response: Response<Body> = Upgrade::new(switching, echo).into_response();
            response.map(|_| RequestBody::from(""))
        });
        let mut client = Client::of(&server);
        client.send(get("/"));
        client.send("hello");
        assert!(client.head().starts_with("HTTP/1.1 101 "));
        client.0.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.rest(), "HELLO");
    });
}

/// What a handler is, it can be around another.
#[test]
fn what_is_known_of_a_connection_can_be_put_in_before() {
    #[derive(Clone)]
    struct From(std::net::SocketAddr);

    in_tasklet(|| {
        let service = |request: Request<RequestBody>| {
            let from = request.extensions().get::<From>().unwrap().0;
            async move { Ok::<_, Infallible>(text(from.to_string())) }
        };
        let app = tower(Serve(service));
        let server = spawn(move |mut request: Request<Body>| {
            let addr = server::peer().unwrap().addr();
            request.extensions_mut().insert(From(addr));
            app(request)
        });
        let mut client = Client::of(&server);
        client.send(get("/"));
        let addr = client.0.local_addr().unwrap();
        assert_eq!(client.body(), addr.to_string());
    });
}
