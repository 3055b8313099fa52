//! Faults of an endpoint or of the credentials, which affect every request instead of one.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::{Domain, Socket, Type};

use crate::rule_proxy::{ProxyFront, RuleProxy};
use crate::tls::{AUTHORITY, CertificateFlaw};
use test_support::World;

/// The fault of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadEndpoint {
    /// Connections are refused.
    Refused,
    /// Connections are accepted and never answered.
    BlackHole,
    /// The same with `https`: the handshake never starts.
    TlsStall,
    /// The server has an invalid certificate.
    Certificate(CertificateFlaw),
    /// The host name does not exist.
    NoSuchHost,
    /// A credential process hangs, which no cancelled future interrupts.
    HungProcess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AffectedServices {
    Both,
    S3,
    Sts,
}

/// Every fault, with its name.
pub(crate) const ALL_ENDPOINTS: [(&str, BadEndpoint); 8] = [
    ("refused", BadEndpoint::Refused),
    ("black hole", BadEndpoint::BlackHole),
    ("TLS stall", BadEndpoint::TlsStall),
    (
        "certificate of an unknown issuer",
        BadEndpoint::Certificate(CertificateFlaw::UnknownIssuer),
    ),
    (
        "certificate of another name",
        BadEndpoint::Certificate(CertificateFlaw::WrongName),
    ),
    (
        "expired certificate",
        BadEndpoint::Certificate(CertificateFlaw::Expired),
    ),
    ("no such host", BadEndpoint::NoSuchHost),
    ("hung credential_process", BadEndpoint::HungProcess),
];

/// A bound port that does not listen, so that no other test gets it.
pub(crate) struct RefusedPort(Socket);

impl RefusedPort {
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

/// A prepared fault.
pub(crate) struct EndpointFault {
    place: BadEndpoint,
    endpoint: String,
    proxy: Option<RuleProxy>,
    _refused: RefusedPort,
    /// The hanging program, beside its FIFO and its log.
    program: PathBuf,
}

impl BadEndpoint {
    /// Prepares the fault, which `begin` starts later.
    pub(crate) fn prepare(self, world: &World) -> EndpointFault {
        let proxy = |front| {
            Some(RuleProxy::start(
                &world.server.endpoint(),
                front,
                Box::new(|_| None),
            ))
        };
        let proxy = match self {
            Self::BlackHole | Self::TlsStall => proxy(ProxyFront::Deaf),
            Self::Certificate(flaw) => proxy(ProxyFront::Https(AUTHORITY.server_config(flaw))),
            _ => None,
        };
        let refused = RefusedPort::new();
        let endpoint = match (self, &proxy) {
            (Self::NoSuchHost, _) => "http://config-backup.invalid".to_owned(),
            (Self::TlsStall, Some(proxy)) => proxy.endpoint().replace("http:", "https:"),
            (_, Some(proxy)) => proxy.endpoint(),
            _ => refused.endpoint(),
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
        EndpointFault {
            place: self,
            endpoint,
            proxy,
            _refused: refused,
            program,
        }
    }
}

impl EndpointFault {
    pub(crate) fn begin(&self, world: &mut World, which: AffectedServices) {
        if self.place == BadEndpoint::HungProcess {
            let aws = world.home().join(".aws");
            fs::rename(aws.join("credentials"), aws.join("credentials-of-before"))
                .expect("profiles");
            let config = format!(
                "[default]\ncredential_process = /bin/sh \"{}\"\n",
                self.program.display()
            );
            return fs::write(aws.join("config"), config).expect("a profile");
        }
        trust_authority(world, &AUTHORITY.pem());
        match which {
            AffectedServices::Both => world.set_endpoint(&self.endpoint),
            AffectedServices::S3 => world.set_s3_endpoint(&self.endpoint),
            AffectedServices::Sts => {
                world.set_endpoint(&self.endpoint);
                world.set_s3_endpoint(&world.server.endpoint());
            }
        }
    }

    pub(crate) fn end(&self, world: &mut World) {
        world.restore_endpoints();
        let aws = world.home().join(".aws");
        if self.place == BadEndpoint::HungProcess {
            fs::rename(aws.join("credentials-of-before"), aws.join("credentials"))
                .expect("profiles");
            fs::remove_file(aws.join("config")).expect("a profile");
            // Ends waiting programs. Opening a FIFO for reading and writing never blocks.
            let fifo = fs::File::options()
                .read(true)
                .write(true)
                .open(self.program.with_extension("fifo"));
            fifo.and_then(|mut fifo| fifo.write_all(&[b'\n'; 64]))
                .expect("a FIFO");
        }
        for name in TRUST_VARIABLES {
            world.set_variable(name, None);
        }
    }

    /// Whether the fault was met, as far as that can be known.
    pub(crate) fn was_met(&self) -> bool {
        match self.place {
            BadEndpoint::Refused | BadEndpoint::NoSuchHost => true,
            BadEndpoint::HungProcess => self.program.with_extension("asked").exists(),
            _ => self
                .proxy
                .as_ref()
                .is_some_and(|proxy| proxy.hit_count() > 0),
        }
    }
}

/// The variables that name a certificate bundle, of AWS tools and in general.
const TRUST_VARIABLES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

/// Makes this world trust an authority.
fn trust_authority(world: &mut World, pem: &str) {
    let bundle = world.path().join("authority.pem");
    fs::write(&bundle, pem).expect("a bundle");
    for name in TRUST_VARIABLES {
        world.set_variable(name, Some(bundle.to_str().expect("UTF-8")));
    }
}
