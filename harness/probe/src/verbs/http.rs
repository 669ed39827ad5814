//! `http`: sends requests, each on a connection of its own, and reads whole responses (RFC 9112).

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};

use sys::freestanding::{
    clock,
    rustix::{
        event::PollFlags,
        io::Errno,
        net::{RecvFlags, recv},
    },
};

use crate::{
    call::{Call, Failure},
    connection,
    trial::{self, Ending, OPTIONS, Series, Trial},
};

/// Most bytes of a response.
const MOST: usize = 4 << 20;

/// Sends requests, and tells what came back.
pub(super) fn http(call: &Call) -> Result<u8, Failure> {
    call.only(&[&OPTIONS[..], &["method", "header", "body"][..]].concat())?;
    let url = call.word(0, "URL")?;
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| Failure::usage(format!("`{url}` does not begin with http://")))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.starts_with('/') {
        path.to_string()
    } else {
        format!("/{path}")
    };
    let has_port = match authority.strip_prefix('[') {
        Some(v6) => v6.contains("]:"),
        None => authority.contains(':'),
    };
    let target = if has_port {
        authority.to_string()
    } else {
        format!("{authority}:80")
    };
    let method = call.option("method").unwrap_or("GET");
    let request = request(call, method, authority, &path);
    let series = Series::of(call)?;
    let all_answered = series.run(call, "connected", || {
        let deadline = clock::monotonic().saturating_add(series.timeout);
        let Some(address) = trial::address(call, &target, series.timeout)? else {
            return Ok(Trial::unresolved(url));
        };
        let begun = clock::monotonic();
        let mut trial = Trial {
            target: url.to_string(),
            address: Some(address),
            source: None,
            ending: Ending::plain("connected"),
            nanoseconds: 0,
            status: None,
            body: None,
        };
        match connection::dial(&address, deadline.saturating_sub(begun)) {
            Ok(socket) => {
                trial.source = trial::own_end(&socket);
                let said = connection::say(&socket, request.as_bytes(), deadline);
                // Who refuses a request may answer without having read all of it.
                let read = match said {
                    Err(errno) if errno == Errno::TIMEDOUT => Err(errno.into()),
                    _ => response(&socket, method == "HEAD", deadline),
                };
                match read {
                    Ok(response) => {
                        trial.status = Some(response.status);
                        trial.body = Some(response.body);
                    }
                    Err(ending) => trial.ending = ending,
                }
            }
            Err(errno) => trial.ending = errno.into(),
        }
        trial.nanoseconds = clock::monotonic() - begun;
        Ok(trial)
    })?;
    Ok(u8::from(!all_answered))
}

fn request(call: &Call, method: &str, authority: &str, path: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n");
    for header in call.args.iter().filter_map(|arg| arg.strip_prefix("--header=")) {
        text.push_str(header);
        text.push_str("\r\n");
    }
    let body = call.option("body");
    if let Some(body) = body {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or_default());
    text
}

/// A whole response.
struct Response {
    status: u16,
    body: Vec<u8>,
}

/// Reads until the response is whole.
fn response(
    socket: impl sys::freestanding::rustix::fd::AsFd,
    to_head: bool,
    deadline: u64,
) -> Result<Response, Ending> {
    let mut got = Vec::new();
    let mut part = [0_u8; 8192];
    let mut is_over = false;
    loop {
        match parse(&got, to_head, is_over) {
            Parsed::Whole(response) => return Ok(response),
            Parsed::Broken => return Err(Errno::BADMSG.into()),
            Parsed::Partly if is_over => return Err(Ending::CLOSED),
            Parsed::Partly if got.len() > MOST => return Err(Errno::MSGSIZE.into()),
            Parsed::Partly => {}
        }
        let left = deadline.saturating_sub(clock::monotonic());
        if left == 0 || !connection::ready(&socket, PollFlags::IN, left)? {
            return Err(Errno::TIMEDOUT.into());
        }
        match recv(&socket, &mut part, RecvFlags::empty()) {
            Ok((0, _)) => is_over = true,
            Ok((count, _)) => got.extend_from_slice(&part[..count]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What the bytes so far are.
enum Parsed {
    Whole(Response),
    Partly,
    Broken,
}

fn parse(mut bytes: &[u8], to_head: bool, is_over: bool) -> Parsed {
    loop {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Parsed::Partly;
        };
        let Ok(head) = core::str::from_utf8(&bytes[..end]) else {
            return Parsed::Broken;
        };
        let rest = &bytes[end + 4..];
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first
            .strip_prefix("HTTP/1.")
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let Some(status) = status else {
            return Parsed::Broken;
        };
        // What is only said in between (section 9.2 of RFC 9110).
        if (100..200).contains(&status) && status != 101 {
            bytes = rest;
            continue;
        }
        let header = |wanted: &str| {
            lines.clone().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
            })
        };
        let whole = |body: &[u8]| {
            Parsed::Whole(Response {
                status,
                body: body.to_vec(),
            })
        };
        if to_head || status == 204 || status == 304 || status == 101 {
            return whole(&[]);
        }
        if header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return match chunks(rest) {
                Some(Some(body)) => whole(&body),
                Some(None) => Parsed::Partly,
                None => Parsed::Broken,
            };
        }
        return match header("Content-Length").map(str::parse::<usize>) {
            Some(Ok(length)) => rest.get(..length).map_or(Parsed::Partly, whole),
            Some(Err(_)) => Parsed::Broken,
            None if is_over => whole(rest),
            None => Parsed::Partly,
        };
    }
}

/// The body that chunks make; `Some(None)` if they are not whole yet, `None` if they are none (section 7.1 of RFC 9112).
fn chunks(mut bytes: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
            return Some(None);
        };
        let size = core::str::from_utf8(&bytes[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size > MOST {
            return None;
        }
        let data = &bytes[end + 2..];
        if size == 0 {
            // Trailers, if any, end with an empty line.
            let ended = data.starts_with(b"\r\n") || data.windows(4).any(|four| four == b"\r\n\r\n");
            return Some(ended.then_some(body));
        }
        let Some(chunk) = data.get(..size + 2) else {
            return Some(None);
        };
        body.extend_from_slice(chunk[..size].as_ref());
        if !chunk.ends_with(b"\r\n") {
            return None;
        }
        bytes = &data[size + 2..];
    }
}
