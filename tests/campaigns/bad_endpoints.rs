//! Trouble where requests should go to, or where credentials come from, instead of with one request.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::{Domain, Socket, Type};

use crate::rule_proxy::{Front, Proxy};
use crate::tls::{AUTHORITY, Flaw};
use test_support::World;

/// What is in the place of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A machine where nobody listens.
    Nobody,
    /// One that takes connections and nothing else.
    BlackHole,
    /// The same behind `https`: the handshake never begins.
    TlsStall,
    /// One with a bad certificate.
    Certificate(Flaw),
    /// A name that does not exist.
    NoSuchHost,
    /// Credentials from a program that hangs: no future cuts it.
    HungProcess,
}

/// Which services are in trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Both,
    S3,
    Sts,
}

/// Every place, with the name of its kind.
pub(crate) const ALL: [(&str, Place); 8] = [
    ("refused", Place::Nobody),
    ("black hole", Place::BlackHole),
    ("TLS stall", Place::TlsStall),
    (
        "certificate of an unknown issuer",
        Place::Certificate(Flaw::UnknownIssuer),
    ),
    (
        "certificate of another name",
        Place::Certificate(Flaw::WrongName),
    ),
    ("expired certificate", Place::Certificate(Flaw::Expired)),
    ("no such host", Place::NoSuchHost),
    ("hung credential_process", Place::HungProcess),
];

/// An address where nobody listens for as long as this is there: no other test's server gets its port.
pub(crate) struct Nobody(Socket);

impl Nobody {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .expect("a port");
        Self(socket)
    }

    pub(crate) fn endpoint(&self) -> String {
        let address = self
            .0
            .local_addr()
            .ok()
            .and_then(|address| address.as_socket());
        format!("http://{}", address.expect("an address"))
    }
}

/// A place that was made.
pub(crate) struct Site {
    place: Place,
    endpoint: String,
    proxy: Option<Proxy>,
    _nobody: Nobody,
    /// The program that hangs; beside it lie what it waits for and what it notes.
    program: PathBuf,
}

impl Place {
    /// Makes it, for a world that goes there later.
    pub(crate) fn make(self, world: &World) -> Site {
        let proxy = |front| {
            Some(Proxy::start(
                &world.server.endpoint(),
                front,
                Box::new(|_| None),
            ))
        };
        let proxy = match self {
            Self::BlackHole | Self::TlsStall => proxy(Front::Deaf),
            Self::Certificate(flaw) => proxy(Front::Https(AUTHORITY.server(flaw))),
            _ => None,
        };
        let nobody = Nobody::new();
        let endpoint = match (self, &proxy) {
            (Self::NoSuchHost, _) => "http://config-backup.invalid".to_owned(),
            (Self::TlsStall, Some(proxy)) => proxy.endpoint().replace("http:", "https:"),
            (_, Some(proxy)) => proxy.endpoint(),
            _ => nobody.endpoint(),
        };
        let program = world.path().join("hang");
        if self == Self::HungProcess {
            fs::write(
                &program,
                "echo asked >>\"$0.asked\"\nread -r answer <\"$0.fifo\"\n",
            )
            .expect("a program");
            assert!(
                world
                    .command("mkfifo")
                    .arg(program.with_extension("fifo"))
                    .status()
                    .expect("mkfifo")
                    .success()
            );
        }
        Site {
            place: self,
            endpoint,
            proxy,
            _nobody: nobody,
            program,
        }
    }
}

impl Site {
    /// The trouble begins.
    pub(crate) fn begin(&self, world: &mut World, which: Which) {
        if self.place == Place::HungProcess {
            let aws = world.home().join(".aws");
            fs::rename(aws.join("credentials"), aws.join("credentials-of-before"))
                .expect("profiles");
            let config = format!(
                "[default]\ncredential_process = /bin/sh \"{}\"\n",
                self.program.display()
            );
            return fs::write(aws.join("config"), config).expect("a profile");
        }
        trust(world, &AUTHORITY.pem());
        match which {
            Which::Both => world.set_endpoint(&self.endpoint),
            Which::S3 => world.set_s3_endpoint(&self.endpoint),
            Which::Sts => {
                world.set_endpoint(&self.endpoint);
                world.set_s3_endpoint(&world.server.endpoint());
            }
        }
    }

    /// The trouble is over.
    pub(crate) fn end(&self, world: &mut World) {
        world.restore_endpoints();
        let aws = world.home().join(".aws");
        if self.place == Place::HungProcess {
            fs::rename(aws.join("credentials-of-before"), aws.join("credentials"))
                .expect("profiles");
            fs::remove_file(aws.join("config")).expect("a profile");
            // Whoever still waits, ends. To open a FIFO for both never blocks.
            let fifo = fs::File::options()
                .read(true)
                .write(true)
                .open(self.program.with_extension("fifo"));
            fifo.and_then(|mut fifo| fifo.write_all(&[b'\n'; 64]))
                .expect("a FIFO");
        }
        for name in TRUST {
            world.set_variable(name, None);
        }
    }

    /// Whether anybody came here, where that can be told.
    pub(crate) fn was_met(&self) -> bool {
        match self.place {
            Place::Nobody | Place::NoSuchHost => true,
            Place::HungProcess => self.program.with_extension("asked").exists(),
            _ => self.proxy.as_ref().is_some_and(|proxy| proxy.hits() > 0),
        }
    }
}

/// The variables that name certificates of authorities, of the AWS tools and of everybody.
const TRUST: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

/// Makes this world trust an authority.
fn trust(world: &mut World, pem: &str) {
    let bundle = world.path().join("authority.pem");
    fs::write(&bundle, pem).expect("a bundle");
    for name in TRUST {
        world.set_variable(name, Some(bundle.to_str().expect("UTF-8")));
    }
}
