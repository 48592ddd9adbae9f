//! How streams behave: both directions, their ends, and times that run out.

use super::*;

#[test]
fn each_direction_ends_by_itself() {
    in_tasklet(|| {
        let (mut near, mut far) = pair();
        near.write_all(b"question").unwrap();
        near.close_notify().unwrap();
        near.close_notify().unwrap();
        assert_eq!(near.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let mut question = String::new();
        far.read_to_string(&mut question).unwrap();
        assert_eq!(question, "question");
        assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
        far.write_all(b"answer").unwrap();
        let closing = Tasklet::spawn(move || far.close());
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        near.close().unwrap();
        closing.join().unwrap().unwrap();
    });
}

#[test]
fn an_end_without_a_word_is_a_truncation() {
    in_tasklet(|| {
        let (mut near, mut far) = pair();
        far.write_all(b"half").unwrap();
        let mut unread = [0; 64];
        // Tickets first, so that it is an end and no reset.
        drop(far);
        let count = near.read(&mut unread).unwrap();
        assert_eq!(&unread[..count], b"half");
        for _ in 0..2 {
            let error = near.read(&mut unread).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
            let inner = error.get_ref().unwrap().downcast_ref();
            assert!(matches!(inner, Some(TlsError::Truncated)), "{error:?}");
        }
    });
}

/// The orderly end is the server's doing when a handler has returned well, and only then.
#[test]
fn a_handler_that_fails_does_not_end_the_stream() {
    in_tasklet(|| {
        let (server, client) = both();
        let handler = |stream: TlsStream| -> io::Result<()> {
            let (mut reader, mut writer) = BufferedStream::new(stream).split();
            let wish = reader.read_line()?.unwrap_or_default();
            writer.write_line("half of it")?;
            writer.flush()?;
            match wish.as_str() {
                "panic" => panic!("as the client wished"),
                "fail" => Err(io::Error::other("as the client wished")),
                "leave to a child" => {
                    // It writes when it is asked to stop.
                    Tasklet::spawn(move || {
                        for _ in Tasklet::receive() {}
                        writer.write_line("the rest")
                    });
                    Ok(())
                }
                _ => Ok(()),
            }
        };
        let server = Server::bind("127.0.0.1:0").unwrap().tls(server);
        let server = server.spawn(handler).unwrap();
        let port = server.local_addr().port();
        let connector = Connector::tls(client);
        let answer = |wish: &str| {
            let stream = connector.connect("localhost", port).unwrap();
            stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
            let mut stream = BufferedStream::new(stream);
            stream.writer().write_line(wish).unwrap();
            stream.flush().unwrap();
            let mut text = String::new();
            let result = stream.read_to_string(&mut text);
            result.map(|_| text).map_err(|error| error.kind())
        };
        assert_eq!(answer("return").unwrap(), "half of it\n");
        let rest = answer("leave to a child").unwrap();
        assert_eq!(rest, "half of it\nthe rest\n");
        for wish in ["panic", "fail"] {
            let kind = answer(wish).unwrap_err();
            assert!(
                matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
                "{wish}: {kind}"
            );
        }
        server.shutdown(PATIENCE).unwrap();
    });
}

/// Both directions are full all the time, and the halves of one end are on two workers.
#[test]
fn full_duplex_with_much_data() {
    const BYTES: usize = 24 * 1024 * 1024;
    fn run(stream: TlsStream, elsewhere: bool) -> (u64, u64) {
        let (reader, writer) = stream.split();
        let placement = match elsewhere {
            true => Placement::LeastLoaded,
            false => Placement::Here,
        };
        let writing = Tasklet::builder().placement(placement).spawn(move || {
            let mut writer = writer;
            let mut sum = 0u64;
            let mut next = 0u64;
            let mut left = BYTES;
            while left > 0 {
                // Of all sizes, beyond a record and within one.
                let len = left.min(1 + (next as usize * 7919) % 100_000);
                let bytes: Vec<u8> = (0..len).map(|at| (next as usize + at) as u8).collect();
                sum = bytes.iter().fold(sum, |sum, &byte| {
                    sum.wrapping_mul(31).wrapping_add(byte.into())
                });
                writer.write_all(&bytes).unwrap();
                left -= len;
                next += 1;
            }
            writer.close_notify().unwrap();
            (writer, sum)
        });
        let mut reader = reader;
        let (mut sum, mut total) = (0u64, 0);
        let mut bytes = vec![0; 50_000];
        loop {
            let count = reader.read(&mut bytes).unwrap();
            if count == 0 {
                break;
            }
            total += count;
            sum = bytes[..count].iter().fold(sum, |sum, &byte| {
                sum.wrapping_mul(31).wrapping_add(byte.into())
            });
        }
        assert_eq!(total, BYTES);
        let (writer, sent) = writing.unwrap().join().unwrap();
        // They fit together again.
        let stream = TlsStream::unsplit(reader, writer);
        assert!(stream.version().is_some());
        (sent, sum)
    }
    in_tasklet(|| {
        let (near, far) = pair();
        let other = Tasklet::spawn(move || run(far, true));
        let (sent, received) = run(near, false);
        let (answered, heard) = other.join().unwrap();
        assert_eq!((sent, answered), (heard, received));
    });
}

#[test]
fn a_reader_that_waits_keeps_nobody_from_writing() {
    in_tasklet(|| {
        let (near, mut far) = pair();
        let (mut reader, mut writer) = near.split();
        let reading = Tasklet::spawn(move || {
            let mut bytes = [0; 4];
            reader.read_exact(&mut bytes).unwrap();
            bytes
        });
        eventually("the wait", || {
            reading.tree().to_string().contains("waits to read")
        });
        writer.write_all(b"ping").unwrap();
        let mut bytes = [0; 4];
        far.read_exact(&mut bytes).unwrap();
        far.write_all(&bytes).unwrap();
        assert_eq!(&reading.join().unwrap(), b"ping");
    });
}

/// What a timeout or a kill leaves unsent is sent later, and nothing twice.
#[test]
fn writes_that_ran_out_of_time_lose_nothing() {
    in_tasklet(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.socket_ref().set_recv_buffer_size(4096).unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        near.socket_ref().set_send_buffer_size(4096).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        let (server, client) = both();
        let accepting = Tasklet::spawn(move || server.accept(far));
        let mut near = client.connect("localhost", near).unwrap();
        let mut far = accepting.join().unwrap().unwrap();

        let moment = Duration::from_millis(20);
        near.get_ref().set_write_timeout(Some(moment)).unwrap();
        let bytes: Vec<u8> = (0..3_000_000).map(|at| (at * 31 % 251) as u8).collect();
        let mut sent = 0;
        let error = loop {
            match near.write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(sent > 0 && sent < bytes.len());
        near.get_ref().set_write_timeout(None).unwrap();

        // Killed in the middle of a write, with the stream in somebody else's hands afterwards.
        let (mut reader, writer) = near.split();
        let shared = std::sync::Arc::new(parking_lot::Mutex::new(Some(writer)));
        struct GiveBack(
            std::sync::Arc<parking_lot::Mutex<Option<actor_net::tls::TlsWriter>>>,
            Option<actor_net::tls::TlsWriter>,
        );
        impl Drop for GiveBack {
            fn drop(&mut self) {
                *self.0.lock() = self.1.take();
            }
        }
        let writer = shared.lock().take();
        let mut borrowed = GiveBack(shared.clone(), writer);
        let rest = bytes[sent..].to_vec();
        let (tell, told) = std::sync::mpsc::channel();
        let victim = Tasklet::spawn(move || {
            let mut sent = 0;
            while sent < rest.len() {
                sent += borrowed.1.as_mut().unwrap().write(&rest[sent..]).unwrap();
                tell.send(sent).unwrap();
            }
        });
        eventually("the wait", || {
            victim.tree().to_string().contains("waits to write")
        });
        victim.kill();
        victim.join().unwrap_err();
        sent += told.try_iter().last().unwrap_or(0);

        let reading = Tasklet::spawn(move || {
            let mut received = Vec::new();
            far.read_to_end(&mut received).unwrap();
            received
        });
        let mut writer = shared.lock().take().unwrap();
        // One write may have been taken as it was killed, without having said so.
        writer.flush().unwrap();
        writer.close_notify().unwrap();
        drop(writer);
        let received = reading.join().unwrap();
        assert!(received.len() >= sent, "{} of {sent}", received.len());
        assert!(bytes.starts_with(&received));
        reader.read(&mut [0; 1]).unwrap_err();
    });
}
