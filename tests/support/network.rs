//! Networks of a test's own: servers, what they share and their clients, each in a network namespace,
//! and a router that can fail. Addresses are used only inside these namespaces.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use testkit::server::Program;

use super::programs;

/// Keeps a namespace until standard input ends, however the test program ends.
const HOLD: &str = "\"$1\" link set lo up && echo ready && exec cat >/dev/null";
/// What the router does with packets: connections of which it has forgotten are marked, and new ones
/// get the next mark.
const RULES: &str = "table inet test {
    chain marks { type filter hook prerouting priority 0; ct state new ct mark set 1; }
    chain forgotten { type filter hook forward priority 0; }
    chain faults { type filter hook forward priority 1; }
}";

/// What happens to the network of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkFault {
    /// A cable is pulled.
    LinkDown,
    /// Packets are dropped without a reply.
    Silent,
    /// The same, in the direction of the server only: what it sends arrives.
    NothingComes,
    /// The same, in the other direction only: what it is sent arrives.
    NothingLeaves,
    /// The router lets nothing of older connections pass; new ones work. They stay forgotten when
    /// this is mended.
    Forgotten,
    /// So many packets of a hundred are lost.
    Lossy(u32),
    /// Packets wait in a queue.
    Slow,
}

/// A network namespace. It ends when this is dropped and its processes have ended.
pub struct Space {
    holder: Child,
    file: File,
    programs: Programs,
}

#[derive(Clone)]
struct Programs {
    ip: PathBuf,
    tc: PathBuf,
    nft: PathBuf,
    nsenter: PathBuf,
    unshare: PathBuf,
}

/// Servers are joined to what they share by a router, and to their clients without it.
pub struct Network {
    /// Where clients are.
    pub clients: Space,
    /// Where a database and a bucket listen.
    pub services: Space,
    nodes: Vec<Space>,
    router: Space,
    /// The mark of connections that are not forgotten.
    mark: AtomicU32,
}

impl Space {
    fn new(programs: &Programs) -> Result<Self, String> {
        let mut command = Command::new(&programs.unshare);
        command.args(["--net", "/bin/sh", "-c", HOLD, "sh"]);
        let mut holder = command
            .arg(&programs.ip)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut line = String::new();
        let output = holder.stdout.take().expect("piped");
        let _ = BufReader::new(output).read_line(&mut line);
        if line != "ready\n" {
            let mut reason = String::new();
            let _ = (holder.stderr.take().expect("piped")).read_to_string(&mut reason);
            let _ = holder.wait();
            return Err(reason.trim().to_owned());
        }
        let file = File::open(format!("/proc/{}/ns/net", holder.id()));
        Ok(Self {
            file: file.map_err(|error| error.to_string())?,
            holder,
            programs: programs.clone(),
        })
    }

    /// Does something inside. Threads and processes that it starts are there too.
    ///
    /// # Panics
    /// As `work` does.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = &self.file;
        let done = std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let space = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(file.as_fd(), space).expect("root may enter it");
                work()
            });
            inside.join()
        });
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The program, inside from its first moment.
    pub fn program(&self, program: Program) -> Program {
        program.behind([self.programs.nsenter.clone(), self.option().into()])
    }

    fn option(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.holder.id())
    }

    fn run(&self, program: &Path, words: &str) -> Result<(), String> {
        let mut command = Command::new(&self.programs.nsenter);
        command.arg(self.option()).arg(program);
        succeeded(command.args(words.split(' ')), "")
    }

    fn ip(&self, words: &str) -> Result<(), String> {
        self.run(&self.programs.ip, words)
    }

    /// Has the kernel decide about packets.
    fn rules(&self, rules: &str) -> Result<(), String> {
        let mut command = Command::new(&self.programs.nsenter);
        command.arg(self.option()).arg(&self.programs.nft);
        succeeded(command.args(["-f", "-"]), rules)
    }

    /// A cable to another namespace, with an interface and its address at each end.
    fn join(&self, own: (&str, &str), other: &Self, its: (&str, &str)) -> Result<(), String> {
        let ((name, address), (its_name, its_address)) = (own, its);
        let id = other.holder.id();
        self.ip(&format!(
            "link add {name} type veth peer name {its_name} netns {id}"
        ))?;
        for (space, name, address) in [(self, name, address), (other, its_name, its_address)] {
            space.ip(&format!("address add {address}/24 dev {name}"))?;
            space.ip(&format!("link set dev {name} up"))?;
        }
        Ok(())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

impl Network {
    /// A network with so many servers. Only root can make one, and not everywhere; else this says
    /// which test is skipped.
    pub fn of_or_skip(nodes: usize, test: &str) -> Option<Self> {
        match Self::make(nodes) {
            Ok(network) => Some(network),
            Err(reason) => {
                let reason = format!("no network can be made: {reason}");
                programs::skip("networks", test, &reason);
                None
            }
        }
    }

    fn make(nodes: usize) -> Result<Self, String> {
        let programs = Programs {
            ip: find("ip")?,
            tc: find("tc")?,
            nft: find("nft")?,
            nsenter: find("nsenter")?,
            unshare: find("unshare")?,
        };
        let space = || Space::new(&programs);
        let network = Self {
            clients: space()?,
            services: space()?,
            nodes: (0..nodes).map(|_| space()).collect::<Result<_, _>>()?,
            router: space()?,
            mark: 1.into(),
        };
        let router = &network.router;
        router.join(
            ("services", "10.213.0.1"),
            &network.services,
            ("back", "10.213.0.2"),
        )?;
        (network.services).ip("route add default via 10.213.0.1")?;
        for (at, node) in network.nodes.iter().enumerate() {
            let (back, its) = (format!("10.213.{}.1", at + 1), network.back(at).to_string());
            let name = format!("node{at}");
            router.join((&name, &back), node, ("back", &its))?;
            node.ip(&format!("route add default via {back}"))?;
            let (front, its) = (
                format!("10.214.{}.1", at + 1),
                network.front(at).to_string(),
            );
            (network.clients).join((&name, &front), node, ("front", &its))?;
        }
        router.inside(|| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")
                .map_err(|error| format!("nothing is forwarded: {error}"))
        })?;
        router.rules(RULES)?;
        Ok(network)
    }

    /// The namespace of a server.
    pub fn node(&self, at: usize) -> &Space {
        &self.nodes[at]
    }

    /// Where clients reach a server.
    pub fn front(&self, at: usize) -> IpAddr {
        Ipv4Addr::new(10, 214, number(at), 2).into()
    }

    /// Where a server comes from, as what it uses sees it.
    pub fn back(&self, at: usize) -> IpAddr {
        Ipv4Addr::new(10, 213, number(at), 2).into()
    }

    /// Where servers reach what they share.
    pub fn shared(&self) -> IpAddr {
        Ipv4Addr::new(10, 213, 0, 2).into()
    }

    /// Breaks the network between a server and what it shares with others.
    ///
    /// # Errors
    /// When the kernel cannot do that.
    pub fn fail(&self, at: usize, fault: NetworkFault) -> Result<(), String> {
        let from = format!("add rule inet test faults iifname \"node{at}\"");
        let to = format!("add rule inet test faults oifname \"node{at}\"");
        let router = &self.router;
        match fault {
            NetworkFault::LinkDown => router.ip(&format!("link set dev node{at} down")),
            NetworkFault::Silent => router.rules(&format!("{from} drop\n{to} drop")),
            NetworkFault::NothingComes => router.rules(&format!("{to} drop")),
            NetworkFault::NothingLeaves => router.rules(&format!("{from} drop")),
            NetworkFault::Lossy(percent) => {
                let lose = format!("numgen random mod 100 < {percent} drop");
                router.rules(&format!("{from} {lose}\n{to} {lose}"))
            }
            NetworkFault::Forgotten => {
                let mark = self.mark.fetch_add(1, Ordering::Relaxed);
                let (old, new) = (format!("ct mark {mark} drop"), mark + 1);
                router.rules(&format!(
                    "flush chain inet test marks\n\
                     add rule inet test marks ct state new ct mark set {new}\n\
                     add rule inet test forgotten iifname \"node{at}\" {old}\n\
                     add rule inet test forgotten oifname \"node{at}\" {old}"
                ))
            }
            NetworkFault::Slow => {
                let tc = &router.programs.tc;
                let queue = "tbf rate 512kbit burst 4kb latency 500ms";
                router
                    .run(tc, &format!("qdisc add dev node{at} root {queue}"))
                    .and_then(|()| {
                        self.nodes[at].run(tc, &format!("qdisc add dev back root {queue}"))
                    })
            }
        }
    }

    /// Mends it.
    pub fn mend(&self, at: usize, fault: NetworkFault) {
        let router = &self.router;
        let mended = match fault {
            NetworkFault::LinkDown => router.ip(&format!("link set dev node{at} up")),
            NetworkFault::Slow => {
                let tc = &router.programs.tc;
                router
                    .run(tc, &format!("qdisc del dev node{at} root"))
                    .and_then(|()| self.nodes[at].run(tc, "qdisc del dev back root"))
            }
            _ => router.rules("flush chain inet test faults"),
        };
        mended.expect("what was broken can be mended");
    }
}

/// The third part of an address.
fn number(at: usize) -> u8 {
    u8::try_from(at + 1).expect("few servers")
}

/// Programs of root are not on everybody's PATH.
fn find(name: &str) -> Result<PathBuf, String> {
    let system = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).join(name));
    programs::find(name)
        .or_else(|| system.into_iter().find(|file| file.is_file()))
        .ok_or_else(|| format!("there is no {name}"))
}

fn succeeded(command: &mut Command, input: &str) -> Result<(), String> {
    let said = |error: std::io::Error| format!("{command:?}: {error}");
    let mut child = Command::new(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(said)?;
    let mut pipe = child.stdin.take().expect("piped");
    // A program that has ended tells why.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().map_err(said)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let reason = String::from_utf8_lossy(&output.stderr);
            Err(format!("{command:?}: {}", reason.trim()))
        }
    }
}
