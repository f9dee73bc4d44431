//! Finds what is asked for: files below one folder, lists of its folders, and nothing else.
//!
//! Calls of the system on files block the OS thread, and with it all tasks. So they are made in
//! another one, where the task that asked waits for them and no other.
use super::request::{Known, Range, Reply, Request};
use super::response::{HTML, Response};
use maypole::thread::offload;
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How much of a file is in memory at a time.
pub const CHUNK: usize = 64 * 1024;

pub enum Body {
    Bytes(Cow<'static, [u8]>),
    File(Part),
}

impl Body {
    pub fn len(&self) -> u64 {
        match self {
            Body::Bytes(bytes) => bytes.len() as u64,
            Body::File(part) => part.left,
        }
    }
}

/// A file, from where it stands on.
pub struct Part {
    file: File,
    left: u64,
}

impl Part {
    /// Appends at most `most` bytes; false when that was the end.
    pub fn read_some(&mut self, to: &mut Vec<u8>, most: usize) -> io::Result<bool> {
        let wanted = self.left.min(most as u64);
        let read = (&mut self.file).take(wanted).read_to_end(to)? as u64;
        if read < wanted {
            // The length was promised: only closing the connection can say that it is not kept.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read;
        Ok(self.left > 0)
    }
}

pub struct Site {
    folder: PathBuf,
    /// For `/`, in place of what the folder has.
    page: Option<&'static str>,
}

impl Site {
    /// A page of its own, and the examples.
    pub fn with_page() -> Self {
        Site {
            folder: super::examples(),
            page: Some(include_str!("page.html")),
        }
    }

    pub fn of(folder: &str) -> io::Result<Self> {
        // Whole, so that links out of the folder can be told.
        let folder = fs::canonicalize(folder)
            .map_err(|error| io::Error::new(error.kind(), format!("{folder}: {error}")))?;
        Ok(Site { folder, page: None })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn respond(&self, request: &Request) -> Response {
        if let Some(page) = self.page.filter(|_| request.path == "/") {
            return Response {
                reply: Reply::Found,
                kind: HTML,
                lines: String::new(),
                body: Body::Bytes(page.as_bytes().into()),
            };
        }
        offload(|| self.find(request)).unwrap_or_else(Response::from)
    }

    fn find(&self, request: &Request) -> Result<Response, Reply> {
        let path = self.path_of(&request.path)?;
        if !path.is_dir() {
            return file(&path, request);
        }
        if !request.path.ends_with('/') {
            return Ok(moved(&request.path));
        }
        let index = path.join("index.html");
        match index.is_file() {
            true => file(&index, request),
            false => list(&path, &request.path),
        }
    }

    /// The place in the folder that `path` names.
    fn path_of(&self, path: &str) -> Result<PathBuf, Reply> {
        let mut place = self.folder.clone();
        for part in path.split('/') {
            let part = decode(part)?;
            match part.as_str() {
                "" | "." => {}
                ".." => return Err(Reply::Forbidden),
                hidden if hidden.starts_with('.') => return Err(Reply::Missing),
                part if part.contains(['/', '\0']) => return Err(Reply::Unclear),
                part => place.push(part),
            }
        }
        // Where it leads in the end, if there are links on the way.
        let place = fs::canonicalize(place).map_err(reply_to)?;
        match place.starts_with(&self.folder) {
            true => Ok(place),
            false => Err(Reply::Forbidden),
        }
    }
}

fn reply_to(error: io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Reply::Missing,
        io::ErrorKind::PermissionDenied => Reply::Forbidden,
        io::ErrorKind::InvalidFilename => Reply::Missing,
        _ => Reply::Failed,
    }
}

/// `%20` and the like as what they stand for.
fn decode(part: &str) -> Result<String, Reply> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit(), digit());
                let byte = high.zip(low).map(|(high, low)| high * 16 + low);
                byte.ok_or(Reply::Unclear)? as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| Reply::Missing)
}

fn file(path: &Path, request: &Request) -> Result<Response, Reply> {
    // Before it is opened: a pipe would wait for its other end.
    let about = fs::metadata(path).map_err(reply_to)?;
    if !about.is_file() {
        return Err(Reply::Forbidden);
    }
    let mut file = File::open(path).map_err(reply_to)?;
    let length = about.len();
    let modified = about.modified().map_err(reply_to)?;
    let date = httpdate::fmt_http_date(modified);
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tag = format!("\"{:x}-{length:x}\"", since.as_nanos());
    let mut lines = format!("Last-Modified: {date}\r\nETag: {tag}\r\nAccept-Ranges: bytes\r\n");

    let is_known = match &request.known {
        Some(Known::Tags(tags)) => tags.split(',').any(|known| {
            let known = known.trim();
            known == "*" || known.trim_start_matches("W/") == tag
        }),
        Some(Known::Since(known)) => seconds(modified) <= seconds(*known),
        None => false,
    };
    if is_known {
        return Ok(Response {
            lines,
            ..Reply::Unchanged.into()
        });
    }
    let is_that = request.range_of.as_ref();
    let is_that = is_that.is_none_or(|wanted| *wanted == tag || *wanted == date);
    let range = request.range.filter(|_| is_that && !request.is_head);
    let (reply, first, left) = match range.map(|range| bounds(range, length)) {
        None => (Reply::Found, 0, length),
        Some(None) => {
            return Ok(Response {
                lines: format!("Content-Range: bytes */{length}\r\n"),
                ..Reply::OutOfRange.into()
            });
        }
        Some(Some((first, last))) => {
            lines += &format!("Content-Range: bytes {first}-{last}/{length}\r\n");
            (Reply::Part, first, last - first + 1)
        }
    };
    file.seek(SeekFrom::Start(first)).map_err(reply_to)?;
    let mut part = Part { file, left };
    let body = match left <= CHUNK as u64 && !request.is_head {
        // What fits is read while this is the right OS thread for it.
        true => {
            let mut bytes = Vec::with_capacity(left as usize);
            part.read_some(&mut bytes, CHUNK).map_err(reply_to)?;
            Body::Bytes(bytes.into())
        }
        false => Body::File(part),
    };
    Ok(Response {
        reply,
        kind: kind_of(path),
        lines,
        body,
    })
}

/// The dates of HTTP have no fractions.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The first and the last byte; none if the range has nothing in common with what there is.
fn bounds(range: Range, length: u64) -> Option<(u64, u64)> {
    let end = length.checked_sub(1)?;
    match range {
        Range::From(first) => (first <= end).then_some((first, end)),
        Range::Between(first, last) => (first <= end).then_some((first, last.min(end))),
        Range::Last(count) => (count > 0).then_some((length.saturating_sub(count), end)),
    }
}

/// The links of a page are relative to its folder, whose path therefore ends with a slash.
fn moved(path: &str) -> Response {
    // Not `//host/`, which would be another server.
    let path = path.trim_start_matches('/');
    Response {
        lines: format!("Location: /{path}/\r\n"),
        ..Reply::Moved.into()
    }
}

fn list(folder: &Path, path: &str) -> Result<Response, Reply> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(reply_to)? {
        let entry = entry.map_err(reply_to)?;
        // What cannot be written in an address cannot be asked for.
        if let Ok(mut name) = entry.file_name().into_string()
            && !name.starts_with('.')
        {
            if entry.path().is_dir() {
                name.push('/');
            }
            names.push(name);
        }
    }
    names.sort();
    let title = escape(path);
    let mut text = format!("<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n");
    text += &format!("<h1>{title}</h1>\n<ul>\n<li><a href=\"../\">..</a>\n");
    for name in names {
        text += &format!(
            "<li><a href=\"./{}\">{}</a>\n",
            encode(&name),
            escape(&name)
        );
    }
    text += "</ul>\n";
    Ok(Response {
        reply: Reply::Found,
        kind: HTML,
        lines: String::new(),
        body: Body::Bytes(text.into_bytes().into()),
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

fn encode(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

fn kind_of(path: &Path) -> &'static str {
    let ending = path.extension().and_then(|ending| ending.to_str());
    match ending.unwrap_or_default().to_ascii_lowercase().as_str() {
        "html" | "htm" => HTML,
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "txt" | "md" | "rs" | "toml" | "csv" | "py" | "c" | "h" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
