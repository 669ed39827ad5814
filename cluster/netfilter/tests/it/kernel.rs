//! In network namespaces of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use netfilter::{
    Batch, Chain, Element, Family, Field, Hook, Limit, Netfilter, Protocol, Reject, Rule, Set, Statement, Type, Value,
    Verdict, state,
};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};

/// `CLONE_NEWNET`.
const NET: u32 = 0x4000_0000;

/// Does it on a thread in a new network namespace, with its loopback up. Not without root.
fn alone(act: impl FnOnce(Netfilter) + Send + 'static) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: network namespaces need root");
        return;
    }
    let thread = std::thread::spawn(|| {
        sys::namespace::unshare(NET).unwrap();
        loopback_up();
        act(Netfilter::open().unwrap());
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// To `NETLINK_ROUTE`, which is protocol 0: `RTM_NEWLINK` with `IFF_UP` for interface 1.
fn loopback_up() {
    let mut message = [0u8; 32];
    message[0] = 32;
    message[4] = 16;
    message[6] = 1;
    message[20..24].copy_from_slice(&1i32.to_ne_bytes());
    message[24..28].copy_from_slice(&1u32.to_ne_bytes());
    message[28..32].copy_from_slice(&1u32.to_ne_bytes());
    let kind = SocketType::RAW;
    let socket = socket_with(AddressFamily::NETLINK, kind, SocketFlags::CLOEXEC, None).unwrap();
    send(&socket, &message, SendFlags::empty()).unwrap();
}

/// What `nft` says of this thread's namespace, if there is an `nft`.
fn nft() -> Option<String> {
    let listed = std::process::Command::new("nft")
        .args(["list", "ruleset"])
        .output()
        .ok()?;
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    Some(String::from_utf8(listed.stdout).unwrap())
}

fn table() -> Batch {
    let mut batch = Batch::new("t");
    batch.add_table();
    batch
}

const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn nft_reads_what_was_written() {
    alone(|mut netfilter| {
        let mut batch = table();
        batch.add_chain(&Chain::nat("in", Hook::Prerouting, -100));
        batch.add_chain(&Chain::filter("judge", Hook::Input, 0));
        batch.add_chain(&Chain::nat("out", Hook::Postrouting, 100));
        batch.add_chain(&Chain::regular("a"));
        batch.add_chain(&Chain::regular("b"));
        batch.add_chain(&Chain::regular("c"));
        let front = [Type::Address, Type::Protocol, Type::Port];
        batch.add_set(&Set::verdict_map("fronts", &front));
        batch.add_set(&Set::new("seen", &[Type::Address]).remembering(Duration::from_secs(90)));
        batch.add_set(&Set::new("nets", &[Type::Address]).of_ranges());
        let key = [
            Ipv4Addr::new(10, 96, 0, 1).into(),
            Protocol::Tcp.into(),
            Value::Port(443),
        ];
        batch.add_elements("fronts", &[Element::to(&key, Verdict::Goto("a".into()))]);
        let (first, last) = (Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(10, 0, 0, 9));
        batch.add_elements("nets", &[Element::range(first, last)]);
        let fields = [Field::DestinationAddress, Field::Protocol, Field::DestinationPort];
        batch.add_rule("in", &Rule::new().map(&fields, "fronts"));
        let dnat = |last| {
            Rule::new()
                .is(Field::SourceAddress, HOME)
                .remember(&[Field::SourceAddress], "seen")
                .is(Field::Protocol, Protocol::Tcp)
                .dnat(Ipv4Addr::new(10, 0, 0, last), Some(8080))
        };
        batch.add_rule("a", &dnat(1));
        batch.add_rule("b", &dnat(2));
        batch.add_rule("in", &Rule::new().any_of(["a".to_owned(), "b".to_owned()]));
        batch.add_rule("out", &Rule::new().lacks(Field::Mark, 0x4000).back());
        batch.add_rule("out", &Rule::new().unmark(0x4000));
        batch.add_rule("out", &Rule::new().is(Field::SourceKind, 2u32).masquerade());
        let limit = Limit {
            packets: 10,
            per: Duration::from_secs(1),
            burst: 5,
        };
        let new = Rule::new().has(Field::ConnectionState, state::NEW).limit(limit).count();
        batch.add_rule("judge", &new.jump("c").about("why"));
        let refuse = |reject| {
            Rule::new()
                .is(Field::Protocol, Protocol::Tcp)
                .then(Statement::Reject(reject))
        };
        for reject in [Reject::PortUnreachable, Reject::Reset, Reject::Prohibited] {
            batch.add_rule("c", &refuse(reject));
        }
        let ports = Rule::new().between(Field::DestinationPort, 80u16, 90u16);
        batch.add_rule(
            "c",
            &ports
                .outside(Field::SourceAddress, first, 8)
                .in_set(&[Field::DestinationAddress], "nets")
                .drop(),
        );
        batch.add_rule("c", &Rule::new().not_in_set(&[Field::SourceAddress], "seen").accept());
        netfilter.commit(&batch).unwrap();
        let Some(told) = nft() else {
            eprintln!("skipped: there is no nft to compare with");
            return;
        };
        for line in [
            "type ipv4_addr . inet_proto . inet_service : verdict",
            "elements = { 10.96.0.1 . tcp . 443 : goto a }",
            "flags dynamic,timeout",
            "timeout 1m30s",
            "flags interval",
            "elements = { 10.0.0.0-10.0.0.9 }",
            "type nat hook prerouting priority dstnat; policy accept;",
            "ip daddr . meta l4proto . th dport vmap @fronts",
            "numgen random mod 2 vmap { 0 : goto a, 1 : goto b }",
            "ip saddr 127.0.0.1 update @seen { ip saddr } meta l4proto tcp dnat to 10.0.0.1:8080",
            "meta mark & 0x00004000 == 0x00000000 return",
            "fib saddr type local masquerade fully-random",
            "ct state new limit rate 10/second counter packets 0 bytes 0 jump c comment \"why\"",
            "reject with tcp reset",
            "meta l4proto tcp reject with icmp admin-prohibited",
            "th dport 80-90 ip saddr != 10.0.0.0/8 ip daddr @nets drop",
            "ip saddr != @seen accept",
        ] {
            assert!(told.contains(line), "no `{line}` in\n{told}");
        }
    });
}

#[test]
fn nft_reads_what_was_written_of_ipv6() {
    alone(|netfilter| {
        drop(netfilter);
        let mut netfilter = Netfilter::open_for(Family::Ipv6).unwrap();
        let mut batch = Batch::of(Family::Ipv6, "t");
        batch.add_table();
        batch.add_chain(&Chain::nat("in", Hook::Prerouting, -100));
        batch.add_chain(&Chain::filter("judge", Hook::Input, 0));
        batch.add_chain(&Chain::nat("out", Hook::Postrouting, 100));
        batch.add_chain(&Chain::regular("a"));
        let front = [Type::Address, Type::Protocol, Type::Port];
        let fronts = Set::verdict_map("fronts", &front);
        batch.add_set(&fronts);
        batch.add_set(&Set::new("pairs", &[Type::Address; 2]));
        batch.add_set(&Set::new("nets", &[Type::Address]).of_ranges());
        let address = |last| Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, last);
        let key = [address(1).into(), Protocol::Tcp.into(), Value::Port(443)];
        let lead = [Element::to(&key, Verdict::Goto("a".into()))];
        batch.add_elements("fronts", &lead);
        batch.add_elements("pairs", &[Element::new(&[address(1).into(), address(2).into()])]);
        batch.add_elements("nets", &[Element::range(address(0), address(0xffff))]);
        let fields = [Field::DestinationAddress, Field::Protocol, Field::DestinationPort];
        batch.add_rule("in", &Rule::new().map(&fields, "fronts"));
        let to = Rule::new()
            .is(Field::Protocol, Protocol::Tcp)
            .dnat(address(7), Some(8080));
        batch.add_rule("a", &to);
        batch.add_rule("out", &Rule::new().is(Field::SourceKind, 2u32).masquerade());
        let pair = [Field::SourceAddress, Field::DestinationAddress];
        batch.add_rule("judge", &Rule::new().in_set(&pair, "pairs").count());
        let begun = Rule::new().is(Field::ConnectionSource, address(3));
        batch.add_rule("judge", &begun.then(Statement::Reject(Reject::PortUnreachable)));
        let other = Rule::new().outside(Field::SourceAddress, address(0), 108);
        let other = other.in_set(&[Field::DestinationAddress], "nets");
        batch.add_rule("judge", &other.then(Statement::Reject(Reject::Prohibited)));
        netfilter.commit(&batch).unwrap();
        assert_eq!(netfilter.elements("t", &fronts).unwrap(), lead);
        let rules = netfilter.rules("t", Some("a")).unwrap();
        assert_eq!(rules[0].changed_to, Some((address(7).into(), Some(8080))));
        let mut of_v4 = Netfilter::open().unwrap();
        assert_eq!(
            of_v4.table("t").unwrap(),
            None,
            "a table of the same name and another family"
        );
        let Some(told) = nft() else {
            eprintln!("skipped: there is no nft to compare with");
            return;
        };
        for line in [
            "table ip6 t {",
            "type ipv6_addr . inet_proto . inet_service : verdict",
            "elements = { fd00:10:96::1 . tcp . 443 : goto a }",
            "elements = { fd00:10:96::1 . fd00:10:96::2 }",
            "elements = { fd00:10:96::/112 }",
            "ip6 daddr . meta l4proto . th dport vmap @fronts",
            "meta l4proto tcp dnat to [fd00:10:96::7]:8080",
            "fib saddr type local masquerade fully-random",
            "ip6 saddr . ip6 daddr @pairs counter",
            "ct original ip6 saddr fd00:10:96::3 reject",
            "ip6 saddr != fd00:10:96::/108 ip6 daddr @nets reject with icmpv6 admin-prohibited",
        ] {
            assert!(told.contains(line), "no `{line}` in\n{told}");
        }
    });
}

#[test]
fn flows_of_each_family_are_told_and_forgotten_apart() {
    alone(|mut of_v4| {
        let mut of_v6 = Netfilter::open_for(Family::Ipv6).unwrap();
        let home = IpAddr::from(Ipv6Addr::LOCALHOST);
        let mut batch = Batch::of(Family::Ipv6, "t");
        batch.add_table();
        batch.add_chain(&Chain::nat("out", Hook::Output, -100));
        let asked = Rule::new()
            .is(Field::Protocol, Protocol::Udp)
            .is(Field::DestinationPort, 53u16);
        batch.add_rule("out", &asked.dnat(home, Some(7001)));
        of_v6.commit(&batch).unwrap();
        let backend = UdpSocket::bind((home, 7001)).unwrap();
        backend.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let client = UdpSocket::bind((home, 0)).unwrap();
        client.send_to(b"x", (home, 53)).unwrap();
        backend.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(of_v4.flows(Protocol::Udp).unwrap(), []);
        let flows = of_v6.flows(Protocol::Udp).unwrap();
        assert_eq!(flows.len(), 1);
        assert_eq!(
            (flows[0].original.destination, flows[0].reply.source),
            ((home, 53), (home, 7001))
        );
        of_v6.forget(&flows).unwrap();
        assert_eq!(of_v6.flows(Protocol::Udp).unwrap(), []);
    });
}

#[test]
fn a_refusal_names_the_message_and_nothing_is_done() {
    alone(|mut netfilter| {
        let mut batch = table();
        batch.add_chain(&Chain::regular("a"));
        batch.add_rule("a", &Rule::new().jump("nowhere"));
        let error = netfilter.commit(&batch).unwrap_err();
        assert_eq!(error.errno(), Some(2), "{error}");
        assert_eq!(
            error.to_string(),
            "netfilter refused to add a rule to chain `a` of table `t`"
        );
        assert_eq!(netfilter.table("t").unwrap(), None);
    });
}

#[test]
fn a_loop_of_chains_is_refused() {
    alone(|mut netfilter| {
        let mut batch = table();
        batch.add_chain(&Chain::filter("in", Hook::Input, 0));
        batch.add_chain(&Chain::regular("a"));
        batch.add_rule("in", &Rule::new().jump("a"));
        batch.add_rule("a", &Rule::new().jump("a"));
        // ELOOP or EMLINK, as the kernel's age has it.
        let errno = netfilter.commit(&batch).unwrap_err().errno();
        assert!(matches!(errno, Some(40 | 31)), "{errno:?}");
    });
}

#[test]
fn packets_take_the_way_that_the_map_says_and_are_counted() {
    alone(|mut netfilter| {
        let mut batch = table();
        batch.add_chain(&Chain::filter("out", Hook::Output, 0));
        batch.add_chain(&Chain::regular("one"));
        batch.add_chain(&Chain::regular("two"));
        let map = Set::verdict_map("ports", &[Type::Protocol, Type::Port]);
        batch.add_set(&map);
        let lead = |port: u16, to: &str| Element::to(&[Protocol::Udp.into(), port.into()], Verdict::Goto(to.into()));
        let elements = [lead(7001, "one"), lead(7002, "two")];
        batch.add_elements("ports", &elements);
        batch.add_rule(
            "out",
            &Rule::new().map(&[Field::Protocol, Field::DestinationPort], "ports"),
        );
        batch.add_rule("one", &Rule::new().count().drop().about("first"));
        batch.add_rule("two", &Rule::new().count().drop());
        netfilter.commit(&batch).unwrap();

        let socket = UdpSocket::bind((HOME, 0)).unwrap();
        for port in [7001, 7001, 7002, 7003] {
            // What is dropped on the way out is told to who sends it.
            let _refused = socket.send_to(b"x", (HOME, port));
        }
        let counted = |netfilter: &mut Netfilter, chain: &str| {
            let rules = netfilter.rules("t", Some(chain)).unwrap();
            assert_eq!(rules.len(), 1);
            (rules[0].counter.unwrap().packets, rules[0].comment.clone())
        };
        assert_eq!(counted(&mut netfilter, "one"), (2, Some("first".into())));
        assert_eq!(counted(&mut netfilter, "two"), (1, None));
        let mut found = netfilter.elements("t", &map).unwrap();
        found.sort();
        assert_eq!(found, elements);

        let mut batch = Batch::new("t");
        batch.delete_elements("ports", &elements[..1]);
        batch.add_elements("ports", &[lead(7001, "two")]);
        batch.flush_chain("one");
        batch.delete_chain("one");
        netfilter.commit(&batch).unwrap();
        let _refused = socket.send_to(b"x", (HOME, 7001));
        assert_eq!(counted(&mut netfilter, "two").0, 2);
        assert_eq!(netfilter.rules("t", Some("one")).unwrap(), []);
    });
}

#[test]
fn what_rules_remember_can_be_read() {
    alone(|mut netfilter| {
        let mut batch = table();
        let seen = Set::new("seen", &[Type::Address]).remembering(Duration::from_secs(60));
        batch.add_set(&seen);
        batch.add_chain(&Chain::filter("out", Hook::Output, 0));
        batch.add_rule("out", &Rule::new().remember(&[Field::DestinationAddress], "seen"));
        netfilter.commit(&batch).unwrap();
        let socket = UdpSocket::bind((HOME, 0)).unwrap();
        socket.send_to(b"x", (Ipv4Addr::new(127, 0, 0, 9), 7001)).unwrap();
        let found = netfilter.elements("t", &seen).unwrap();
        // That nobody listens there is told to the first address, which is seen, too.
        let wanted = [Value::from(Ipv4Addr::new(127, 0, 0, 9))];
        assert!(found.iter().any(|one| one.key == wanted), "{found:?}");
    });
}

#[test]
fn a_flow_that_is_forgotten_goes_where_the_rules_lead_now() {
    alone(|mut netfilter| {
        let to = |port| {
            Rule::new()
                .is(Field::Protocol, Protocol::Udp)
                .is(Field::DestinationPort, 53u16)
                .dnat(HOME, Some(port))
        };
        let mut batch = table();
        batch.add_chain(&Chain::nat("out", Hook::Output, -100));
        batch.add_rule("out", &to(7001));
        netfilter.commit(&batch).unwrap();

        let backend = |port| {
            let socket = UdpSocket::bind((HOME, port)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            socket
        };
        let (old, new) = (backend(7001), backend(7002));
        let client = UdpSocket::bind((HOME, 0)).unwrap();
        let front = (IpAddr::from([127, 0, 0, 2]), 53);
        let received = |socket: &UdpSocket| socket.recv_from(&mut [0; 8]).is_ok();
        client.send_to(b"x", front).unwrap();
        assert!(received(&old));

        let mut batch = Batch::new("t");
        batch.flush_chain("out");
        batch.add_rule("out", &to(7002));
        netfilter.commit(&batch).unwrap();
        client.send_to(b"x", front).unwrap();
        assert!(received(&old), "a flow stays where it went");

        let mut flows = netfilter.flows(Protocol::Udp).unwrap();
        flows.retain(|flow| flow.original.destination == front);
        assert_eq!(flows.len(), 1);
        assert_eq!(flows[0].reply.source, (HOME.into(), 7001));
        assert_eq!(netfilter.flows(Protocol::Tcp).unwrap(), []);
        netfilter.forget(&flows).unwrap();
        netfilter.forget(&flows).unwrap();
        client.send_to(b"x", front).unwrap();
        assert!(received(&new));
    });
}

#[test]
fn the_generation_and_the_handle_tell_that_somebody_was_there() {
    alone(|mut netfilter| {
        netfilter.commit(&table()).unwrap();
        let (before, first) = (netfilter.generation().unwrap(), netfilter.table("t").unwrap());
        assert!(first.is_some());
        let mut batch = Batch::new("t");
        batch.delete_table();
        batch.add_table();
        netfilter.commit(&batch).unwrap();
        assert_ne!(netfilter.generation().unwrap(), before);
        assert_ne!(netfilter.table("t").unwrap(), first);
    });
}
