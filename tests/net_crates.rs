//! Crates that know of `Read` and `Write` only work over the streams of tasks as they are.
use maypole::net::{TcpListener, TcpStream};
use maypole::{run, spawn};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, BufWriter, LineWriter, Read, Write};

/// Two ends of one connection.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    // These write small pieces, which the system would hold back to put them together.
    near.set_nodelay(true).unwrap();
    (near, far)
}

/// Writes byte by byte, with a turn for the others after each, so that the reader waits in every
/// place.
struct Trickle<W>(W);

impl<W: Write> Write for Trickle<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        maypole::yield_now();
        self.0.write(&buffer[..buffer.len().min(1)])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn serde_json_reads_values_that_come_byte_by_byte() {
    let values = [
        json!({"name": "ann", "scores": [1, 2.5, null], "nested": {"deep": [[[true]]]}}),
        json!(["κόσμε", "\u{1F600}", ""]),
        json!(42),
    ];
    let sent = values.clone();
    run(|| {
        let (near, far) = connection();
        let writer = spawn(move || {
            let mut to = Trickle(near);
            for value in &sent {
                serde_json::to_writer(&mut to, value).unwrap();
                to.write_all(b"\n").unwrap();
            }
        });
        let values_read = serde_json::Deserializer::from_reader(far).into_iter::<Value>();
        let values_read: Vec<Value> = values_read.map(Result::unwrap).collect();
        assert_eq!(values_read, values);
        writer.join().unwrap();
    });
}

#[test]
fn serde_json_answers_requests_over_one_connection_in_both_directions() {
    run(|| {
        let (near, far) = connection();
        let server = spawn(move || {
            let requests = serde_json::Deserializer::from_reader(BufReader::new(&far));
            for request in requests.into_iter::<Value>() {
                let request = request.unwrap();
                let sum: i64 = request["add"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|number| number.as_i64().unwrap())
                    .sum();
                let mut to = BufWriter::new(&far);
                serde_json::to_writer(&mut to, &json!({"id": request["id"], "sum": sum})).unwrap();
                writeln!(to).unwrap();
                to.flush().unwrap();
            }
        });
        let mut answers = BufReader::new(&near).lines();
        for id in 0..100 {
            // A number goes on until something else comes, hence the newline.
            writeln!(&near, "{}", json!({"id": id, "add": [id, 1, 2]})).unwrap();
            let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
            assert_eq!(answer, json!({"id": id, "sum": id + 3}));
        }
        near.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(answers.next().is_none());
        server.join().unwrap();
    });
}

#[test]
fn what_serde_json_cannot_read_is_an_error_and_the_rest_is_still_there() {
    run(|| {
        let (mut near, far) = connection();
        near.write_all(b"{\"a\": nonsense}").unwrap();
        let value: Result<Value, _> = serde_json::from_reader(&far);
        assert!(value.unwrap_err().is_syntax());
        near.write_all(b" and more").unwrap();
        drop(near);
        let mut rest = String::new();
        (&far).read_to_string(&mut rest).unwrap();
        assert!(rest.ends_with(" and more"), "{rest}");
    });
}

#[test]
fn buffered_readers_and_writers_of_std_do_as_with_std() {
    run(|| {
        let (near, far) = connection();
        let writer = spawn(move || {
            let mut to = LineWriter::new(near);
            for number in 0..1000 {
                write!(to, "line ").unwrap();
                writeln!(to, "{number}").unwrap();
            }
            to.into_inner().unwrap().write_all(b"the end").unwrap();
        });
        let mut from = BufReader::with_capacity(16, far);
        for number in 0..1000 {
            let mut line = String::new();
            from.read_line(&mut line).unwrap();
            assert_eq!(line, format!("line {number}\n"));
        }
        let mut end = Vec::new();
        from.by_ref().take(4).read_to_end(&mut end).unwrap();
        from.read_until(b'!', &mut end).unwrap();
        assert_eq!(end, b"the end");
        writer.join().unwrap();
    });
}

#[test]
fn httparse_parses_what_has_come_until_it_is_whole() {
    run(|| {
        let (near, far) = connection();
        let writer = spawn(move || {
            let request = b"GET /a?b HTTP/1.1\r\nHost: me\r\nAccept: */*\r\n\r\n";
            Trickle(near).write_all(request).unwrap();
        });
        let mut received = Vec::new();
        let mut far = BufReader::new(far);
        loop {
            let come = far.fill_buf().unwrap();
            assert!(!come.is_empty(), "it ends before it is whole");
            received.extend_from_slice(come);
            let length = come.len();
            far.consume(length);
            let mut headers = [httparse::EMPTY_HEADER; 8];
            let mut request = httparse::Request::new(&mut headers);
            if request.parse(&received).unwrap().is_complete() {
                assert_eq!((request.method, request.path), (Some("GET"), Some("/a?b")));
                assert_eq!(request.headers[1].value, b"*/*");
                break;
            }
        }
        writer.join().unwrap();
    });
}
