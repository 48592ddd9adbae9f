//! Dispatchers that connect, and those that take messages as well.

use super::*;

#[test]
fn a_client_is_told_that_it_is_connected_or_why_it_is_not() {
    in_tasklet(|| {
        let map = Map::new();
        let (sender, events) = mpsc::channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut channel = Channel::connect(addr).unwrap();
        // Before it is connected: goes out as soon as it is.
        channel.push(b"hello").unwrap();
        map.spawn(Echo::new(channel, &sender)).unwrap();
        assert!(matches!(next(&events), Event::Connected));
        let (mut peer, _) = listener.accept().unwrap();
        let mut word = [0; 5];
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        aside(move || {
            peer.read_exact(&mut word).unwrap();
            assert_eq!(&word, b"hello");
        });
        assert!(matches!(next(&events), Event::Closed(_)));
        assert!(matches!(next(&events), Event::Ended(_)));

        drop(listener);
        match Channel::connect(addr) {
            Ok(channel) => {
                map.spawn(Echo::new(channel, &sender)).unwrap();
                match next(&events) {
                    Event::Failed(error) => assert!(error.contains("refused"), "{error}"),
                    event => panic!("{event:?}"),
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        }
        map.run_timeout(PATIENCE).unwrap();
    });
}

#[test]
fn closing_before_it_is_connected_still_sends_what_is_pending() {
    in_tasklet(|| {
        let map = Map::new();
        let (sender, _events) = mpsc::channel();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut channel = Channel::connect(listener.local_addr().unwrap()).unwrap();
        channel.push(b"in passing").unwrap();
        channel.close_when_done();
        map.spawn(Echo::new(channel, &sender)).unwrap();
        let text = aside(move || {
            let mut text = String::new();
            listener
                .accept()
                .unwrap()
                .0
                .read_to_string(&mut text)
                .unwrap();
            text
        });
        assert_eq!(text, "in passing");
        map.run_timeout(PATIENCE).unwrap();
    });
}

/// Others can send to it while its channel is idle, and that goes out at once.
#[test]
fn a_dispatcher_takes_messages_as_well() {
    in_tasklet(|| {
        let map = Map::new();
        let (sender, _events) = mpsc::channel();
        let (near, mut far) = UnixStream::pair().unwrap();
        let channel = Channel::adopt(near).unwrap();
        let echo: Addr<Echo> = map.spawn(Echo::new(channel, &sender)).unwrap();
        echo.call(Say("one ")).unwrap();
        echo.send(Say("two ")).unwrap();
        far.write_all(b"three").unwrap();
        aside(move || {
            let mut text = [0; 13];
            far.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"one two three");
        });
        map.run_timeout(PATIENCE).unwrap();
        eventually("its end", || !echo.is_alive());
    });
}
