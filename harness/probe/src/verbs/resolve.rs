//! `resolve`: asks a name server, as `resolv.conf` says.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::net::{IpAddr, SocketAddr};

use sys::freestanding::{clock, rustix::io::Errno};

use crate::{
    call::{Call, Failure},
    dns, errno, quantity,
    resolver::Configuration,
    trial,
};

/// Asks for a name, and tells the answer.
pub(super) fn resolve(call: &Call) -> Result<u8, Failure> {
    call.only(&["type", "server", "tcp", "timeout", "nonce"])?;
    let name = call.word(0, "NAME")?;
    let wanted = call.option("type").unwrap_or("A");
    let kind = dns::kind(wanted)
        .ok_or_else(|| Failure::usage(format!("`{wanted}` is none of A, AAAA, CNAME, PTR, SRV, TXT")))?;
    let patience = quantity::nanoseconds(call.option("timeout").unwrap_or("2s"))?;
    let mut configuration = Configuration::read();
    configuration.tcp |= call.has("tcp");
    if let Some(server) = call.option("server") {
        let address = server
            .parse()
            .or_else(|_| server.parse().map(|address| SocketAddr::new(address, 53)));
        configuration.servers =
            Vec::from([address.map_err(|_| Failure::usage(format!("`{server}` is not the address of a server")))?]);
    }
    let asked = match name.parse() {
        Ok(address) if wanted == "PTR" => reversed(address),
        _ => name.to_string(),
    };
    let begun = clock::monotonic();
    let result = configuration.ask(&asked, kind, patience);
    let took = clock::monotonic() - begun;
    let (found, silence) = match &result {
        Ok(found) => (Some(found), None),
        Err(silence) => (None, Some(silence)),
    };
    let records = found.map_or(&[][..], |found| found.answer.records.as_slice());
    call.line(|json| {
        json.key("name").string(name);
        json.key("type").string(wanted);
        json.key("outcome").string(match silence {
            None => "answered",
            Some(silence) if silence.errno == Errno::DESTADDRREQ => "unresolved",
            Some(silence) => trial::word(silence.errno),
        });
        let errno = silence.map(|silence| errno::name(silence.errno));
        json.key("errno").bytes_or_null(errno.as_deref().map(str::as_bytes));
        let code = found.map(|found| found.answer.rcode());
        // Who only reads the code still learns why there is none.
        json.key("rcode").string(code.or(errno).as_deref().unwrap_or_default());
        let server = found.map(|found| found.server);
        let server = server.or(silence.and_then(|silence| silence.server));
        json.key("server")
            .bytes_or_null(server.map(|server| server.to_string()).as_deref().map(str::as_bytes));
        json.key("via")
            .bytes_or_null(found.map(|found| if found.tcp { &b"tcp"[..] } else { b"udp" }));
        json.key("asked")
            .bytes_or_null(found.map(|found| found.name.as_bytes()));
        json.key("wall_ns").plain(took);
        json.key("answers").array(|json| {
            records
                .iter()
                .filter(|record| record.kind == wanted)
                .for_each(|record| json.string(&record.value));
        });
        json.key("records").array(|json| {
            for record in records {
                json.object(|json| {
                    json.key("type").string(&record.kind);
                    json.key("value").string(&record.value);
                    json.key("ttl").plain(record.ttl);
                });
            }
        });
        json.key("done").plain(1);
    })?;
    Ok(u8::from(
        !found.is_some_and(|found| found.answer.is_good() && !records.is_empty()),
    ))
}

/// The name under which the name of an address is kept (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn reversed(address: IpAddr) -> String {
    let mut name = String::new();
    match address {
        IpAddr::V4(v4) => {
            for byte in v4.octets().iter().rev() {
                name.push_str(&format!("{byte}."));
            }
            name.push_str("in-addr.arpa.");
        }
        IpAddr::V6(v6) => {
            for byte in v6.octets().iter().rev() {
                name.push_str(&format!("{:x}.{:x}.", byte & 0xf, byte >> 4));
            }
            name.push_str("ip6.arpa.");
        }
    }
    name
}
