//! Files that change, and clients that go, while they are sent.

use super::*;

#[test]
fn what_becomes_shorter_while_it_is_sent_ends_the_connection() {
    in_tasklet(|| {
        keep_log();
        let dir = Dir::new();
        let path = dir.put("file", vec![b'x'; 64 * 1024 * 1024]);
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send([web::get("/file"), web::get("/next")].concat());
        assert!(client.head().contains("content-length: 67108864\r\n"));
        // More than the sockets hold is not on its way yet.
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(32 * 1024 * 1024)
            .unwrap();
        let mut body = Vec::new();
        match client.0.read_to_end(&mut body) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert!(body.len() <= 32 * 1024 * 1024 && body.iter().all(|&byte| byte == b'x'));
        eventually("the connection has gone", || server.connections() == 0);
        let said = logged(&["a body is shorter than its length says", "67108864"]);
        assert_eq!(said.len(), 1, "{said:?}");
    });
}

#[test]
fn of_what_grows_as_much_is_sent_as_was_announced() {
    in_tasklet(|| {
        let dir = Dir::new();
        let path = dir.put("file", vec![b'x'; 16 * 1024 * 1024]);
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send([web::get("/file"), web::get("/nothing")].concat());
        let head = client.head();
        assert!(head.contains("content-length: 16777216\r\n"), "{head}");
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&[b'y'; 100_000]).unwrap();
        let mut body = vec![0; 16 * 1024 * 1024];
        client.0.read_exact(&mut body).unwrap();
        assert!(body.iter().all(|&byte| byte == b'x'));
        assert_eq!(answer(&mut client, "GET").status, 404);
        assert_eq!(
            get(&mut client, "/file").body.len(),
            16 * 1024 * 1024 + 100_000
        );
    });
}

#[test]
fn who_does_not_read_is_dropped_and_holds_nobody_up() {
    in_tasklet(|| {
        let dir = Dir::new();
        dir.put("large", vec![b'x'; 64 * 1024 * 1024]);
        dir.put("small", "small");
        let files = dir.files();
        let limits =
            Limits::default().with(|limits| limits.write_time = Duration::from_millis(300));
        let server = HttpServer::bind("127.0.0.1:0").unwrap().limits(limits);
        let server = server.spawn(move |request: Request<Body>| files.serve(&request));
        let server = Running(server.unwrap());
        let mut slow = Client::of(&server);
        slow.send(web::get("/large"));
        assert!(slow.head().starts_with("HTTP/1.1 200 OK\r\n"));
        let mut client = Client::of(&server);
        assert_eq!(get(&mut client, "/small").text(), "small");
        assert_eq!(server.connections(), 2);
        let mut served = 0;
        while server.connections() == 2 {
            assert_eq!(get(&mut client, "/small").text(), "small");
            served += 1;
        }
        assert!(served > 1, "{served}");
        assert_eq!(server.connections(), 1);
    });
}

/// How many descriptors this process has of a file.
fn descriptors(path: &Path) -> usize {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let links = all.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
    links.filter(|link| link == path).count()
}

#[test]
fn a_file_that_is_being_sent_does_not_outlive_its_server() {
    in_tasklet(|| {
        let dir = Dir::new();
        let path = dir.put("file", vec![b'x'; 64 * 1024 * 1024]);
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send(web::get("/file"));
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(descriptors(&path), 1);
        // The client does not read, so that it would never end.
        let _ = server.shutdown(Duration::from_millis(100));
        eventually("the file is closed", || descriptors(&path) == 0);
        let mut body = Vec::new();
        match client.0.read_to_end(&mut body) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
        assert!(body.len() < 64 * 1024 * 1024);
        // Nor one whose client has gone.
        let server = serve(dir.files());
        let mut client = Client::of(&server);
        client.send(web::get("/file"));
        client.head();
        drop(client);
        eventually("the file is closed", || descriptors(&path) == 0);
    });
}
