//! Requests, as far as this server understands them.
use httparse::{EMPTY_HEADER, Error, Status};
use std::time::SystemTime;

/// A head is no longer than this, nor has it more lines.
const HEAD_AT_MOST: usize = 16 * 1024;
const HEADERS_AT_MOST: usize = 64;

pub struct Request {
    pub is_head: bool,
    /// As it was sent, without what comes after a `?`.
    pub path: String,
    pub keeps_alive: bool,
    pub is_http_1_0: bool,
    pub range: Option<Range>,
    /// Of what the client has already, if it asks for news only.
    pub known: Option<Known>,
    /// The client wants a part of this version, or all of another.
    pub range_of: Option<String>,
}

pub enum Known {
    Tags(String),
    Since(SystemTime),
}

/// Which bytes of something.
#[derive(Clone, Copy)]
pub enum Range {
    From(u64),
    /// The last one counts.
    Between(u64, u64),
    Last(u64),
}

/// What a response says before its body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    Found,
    Part,
    Moved,
    Unchanged,
    Unclear,
    Forbidden,
    Missing,
    NotAllowed,
    TooSlow,
    TargetTooLong,
    OutOfRange,
    HeadTooLong,
    Failed,
    Unknown,
    OtherVersion,
}

impl Reply {
    pub fn words(self) -> &'static str {
        match self {
            Reply::Found => "200 OK",
            Reply::Part => "206 Partial Content",
            Reply::Moved => "301 Moved Permanently",
            Reply::Unchanged => "304 Not Modified",
            Reply::Unclear => "400 Bad Request",
            Reply::Forbidden => "403 Forbidden",
            Reply::Missing => "404 Not Found",
            Reply::NotAllowed => "405 Method Not Allowed",
            Reply::TooSlow => "408 Request Timeout",
            Reply::TargetTooLong => "414 URI Too Long",
            Reply::OutOfRange => "416 Range Not Satisfiable",
            Reply::HeadTooLong => "431 Request Header Fields Too Large",
            Reply::Failed => "500 Internal Server Error",
            Reply::Unknown => "501 Not Implemented",
            Reply::OtherVersion => "505 HTTP Version Not Supported",
        }
    }
}

impl Request {
    /// In place of one that was not understood; its connection ends.
    pub fn nonsense() -> Self {
        Request {
            is_head: false,
            path: String::new(),
            keeps_alive: false,
            is_http_1_0: false,
            range: None,
            known: None,
            range_of: None,
        }
    }
}

/// The first request in `bytes` and the length of its head, or none if not all of it has come.
///
/// # Errors
///
/// What to answer to something that is no request for this server; the rest of the connection
/// cannot be understood then.
pub fn read(bytes: &[u8]) -> Result<Option<(Request, usize)>, Reply> {
    let mut headers = [EMPTY_HEADER; HEADERS_AT_MOST];
    let mut parsed = httparse::Request::new(&mut headers);
    match parsed.parse(bytes) {
        Ok(Status::Complete(length)) if length <= HEAD_AT_MOST => {
            Ok(Some((understand(&parsed)?, length)))
        }
        Ok(Status::Partial) if bytes.len() <= HEAD_AT_MOST => Ok(None),
        Ok(_) if bytes[..HEAD_AT_MOST].contains(&b'\n') => Err(Reply::HeadTooLong),
        Ok(_) => Err(Reply::TargetTooLong),
        Err(Error::TooManyHeaders) => Err(Reply::HeadTooLong),
        Err(Error::Version) => Err(Reply::OtherVersion),
        Err(_) => Err(Reply::Unclear),
    }
}

fn understand(parsed: &httparse::Request<'_, '_>) -> Result<Request, Reply> {
    let is_http_1_0 = parsed.version == Some(0);
    let mut request = Request {
        is_http_1_0,
        keeps_alive: !is_http_1_0,
        ..Request::nonsense()
    };
    let mut hosts = 0;
    let mut body = None;
    let mut since = None;
    let mut tags = None;
    for header in parsed.headers.iter() {
        let value = std::str::from_utf8(header.value).map_err(|_| Reply::Unclear)?;
        let value = value.trim();
        match header.name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "connection" => {
                let mut words = value.split(',').map(str::trim);
                if words.clone().any(|word| word.eq_ignore_ascii_case("close")) {
                    request.keeps_alive = false;
                } else if words.any(|word| word.eq_ignore_ascii_case("keep-alive")) {
                    request.keeps_alive = true;
                }
            }
            // Two announcements of a body are how requests are smuggled past servers in front.
            "content-length" | "transfer-encoding" if body.is_some() => return Err(Reply::Unclear),
            "content-length" => {
                let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
                let length = value.parse::<u64>().ok().filter(|_| is_number);
                body = Some(length.ok_or(Reply::Unclear)?);
            }
            "transfer-encoding" => body = Some(u64::MAX),
            "range" => request.range = range(value),
            "if-range" => request.range_of = Some(value.to_string()),
            "if-none-match" => tags = Some(Known::Tags(value.to_string())),
            "if-modified-since" => since = httpdate::parse_http_date(value).ok().map(Known::Since),
            _ => {}
        }
    }
    request.known = tags.or(since);
    if hosts > 1 || hosts == 0 && !is_http_1_0 {
        return Err(Reply::Unclear);
    }
    // Bodies are nothing that it would read, so what comes after one is not looked at.
    if body.is_some_and(|length| length > 0) {
        request.keeps_alive = false;
    }
    match parsed.method.expect("the head is complete") {
        "GET" => {}
        "HEAD" => request.is_head = true,
        "POST" | "PUT" | "DELETE" | "PATCH" | "OPTIONS" | "TRACE" | "CONNECT" => {
            return Err(Reply::NotAllowed);
        }
        _ => return Err(Reply::Unknown),
    }
    request.path = path(parsed.path.expect("the head is complete"))?;
    Ok(request)
}

/// The path of a target: of `/a/b?c`, and of `http://host/a/b`, as proxies write it.
fn path(target: &str) -> Result<String, Reply> {
    let path = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => {
            rest.find('/').map_or("/", |begin| &rest[begin..])
        }
        _ => target,
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    match path.starts_with('/') {
        true => Ok(path.to_string()),
        false => Err(Reply::Unclear),
    }
}

/// A single range; several, and what is none, count as not asked for.
fn range(value: &str) -> Option<Range> {
    let (first, last) = value.strip_prefix("bytes=")?.split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", last) => Some(Range::Last(last.parse().ok()?)),
        (first, "") => Some(Range::From(first.parse().ok()?)),
        (first, last) => {
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(Range::Between(first, last))
        }
    }
}
