//! Responses, and their heads as bytes.
use super::files::Body;
use super::request::{Reply, Request};
use std::fmt::Write;
use std::time::SystemTime;

pub struct Response {
    pub reply: Reply,
    pub kind: &'static str,
    /// More lines of the head, whole.
    pub lines: String,
    pub body: Body,
}

/// A page that says no more than the reply.
impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        let words = reply.words();
        let text = match reply {
            Reply::Unchanged => String::new(),
            _ => format!("<!DOCTYPE html>\n<title>{words}</title>\n<h1>{words}</h1>\n"),
        };
        let lines = match reply {
            Reply::NotAllowed => "Allow: GET, HEAD\r\n".to_string(),
            _ => String::new(),
        };
        Response {
            reply,
            kind: HTML,
            lines,
            body: Body::Bytes(text.into_bytes().into()),
        }
    }
}

pub const HTML: &str = "text/html; charset=utf-8";

/// The head of a response to a request.
pub fn head(request: &Request, response: &Response) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 {}\r\nDate: {}\r\nServer: maypole\r\n",
        response.reply.words(),
        httpdate::fmt_http_date(SystemTime::now())
    );
    // What has not changed is told without what it is.
    if response.reply != Reply::Unchanged {
        let length = response.body.len();
        let kind = response.kind;
        let _ = write!(head, "Content-Type: {kind}\r\nContent-Length: {length}\r\n");
    }
    head.push_str(&response.lines);
    if !request.keeps_alive {
        head.push_str("Connection: close\r\n");
    } else if request.is_http_1_0 {
        head.push_str("Connection: keep-alive\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}
