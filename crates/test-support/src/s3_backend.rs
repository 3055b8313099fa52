//! A world whose S3 is the embedded server, versitygw or moto, and records with their expected
//! report rows.

use std::ops::RangeInclusive;

use crate::faulty_proxy::{FaultyProxy, RequestFate};
use crate::s3_client::S3TestClient;
use crate::s3_servers::{MotoServer, VersityGateway};
use crate::world::{BUCKET, World, to_text};

pub const CSV_HEADER: &str =
    "timestamp,customer,user,additional_users_count,project_name,cluster_name\n";
/// How requests for records begin, and those for pages of keys.
pub const RECORD_GET_LINE: &str = "GET /mongodb-arena/usage-logs/";
pub const LIST_LINE: &str = "GET /mongodb-arena/?";

/// Which server plays S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3ServerKind {
    Embedded,
    Versitygw,
    Moto,
}

/// A world with one of the servers as its S3.
pub struct S3Backend {
    pub kind: S3ServerKind,
    /// Writes and deletes, past whatever stands between the helper and the server.
    pub client: S3TestClient,
    pub endpoint: String,
    // Before the world with their folders.
    gateway: Option<VersityGateway>,
    moto: Option<MotoServer>,
    pub world: World,
}

impl S3Backend {
    pub fn new(kind: S3ServerKind) -> Self {
        let mut world = World::new();
        let gateway = (kind == S3ServerKind::Versitygw).then(|| VersityGateway::start(&world));
        let moto = (kind == S3ServerKind::Moto).then(|| MotoServer::start(&world));
        let other = gateway
            .as_ref()
            .map(|it| it.endpoint.clone())
            .or_else(|| moto.as_ref().map(|it| it.endpoint.clone()));
        let endpoint = other.unwrap_or_else(|| world.server.endpoint());
        world.set_s3_endpoint(&endpoint);
        Self {
            kind,
            client: S3TestClient::new(&endpoint),
            endpoint,
            gateway,
            moto,
            world,
        }
    }

    /// Puts a proxy between the helper and the server. The cache is one of the place that the helper asks.
    pub fn start_proxy(
        &mut self,
        fate: impl Fn(&str) -> RequestFate + Send + Sync + 'static,
    ) -> FaultyProxy {
        let proxy = FaultyProxy::start(&self.endpoint, fate);
        self.world.set_s3_endpoint(&proxy.endpoint());
        proxy
    }

    /// Asserts how many records and how many pages the server was asked for so far, by its own log.
    pub fn assert_requests(&self, records: usize, pages: RangeInclusive<usize>) {
        let asked = || match (&self.gateway, &self.moto) {
            (Some(gateway), _) => gateway.asked(),
            (_, Some(moto)) => moto.asked(),
            _ => (
                self.world.count_requests("GetObject", ""),
                self.world.count_requests("ListObjectsV2", ""),
            ),
        };
        // Some note a request after they have answered it.
        for _ in 0..1000 {
            if asked().0 >= records && asked().1 >= *pages.start() {
                break;
            }
            std::thread::yield_now();
        }
        let asked = asked();
        assert!(
            asked.0 == records && pages.contains(&asked.1),
            "{asked:?} for {records} records and {pages:?} pages"
        );
    }

    /// Writes many objects.
    pub fn put_objects(&self, objects: &[(String, String)]) {
        if self.kind == S3ServerKind::Embedded {
            // Not over the wire: a fifth of the time.
            for (key, body) in objects {
                self.world
                    .server
                    .put(BUCKET, key, body.as_bytes(), &[])
                    .expect("an object");
            }
        } else {
            self.client.put_all(objects);
        }
    }

    /// Runs `report`: its exit code, stdout and stderr.
    pub fn run_report(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self
            .world
            .helper_command(&["report", "--profile", "default"])
            .args(arguments)
            .output()
            .expect("report");
        (
            output.status.code(),
            to_text(&output.stdout),
            to_text(&output.stderr),
        )
    }

    /// Runs `report`, which must end well and have nothing to say, and gives the CSV.
    pub fn report_csv(&self, arguments: &[&str]) -> String {
        let (code, csv, messages) = self.run_report(arguments);
        assert_eq!((code, messages.as_str()), (Some(0), ""), "{arguments:?}");
        csv
    }
}

/// A deployment, ordered as the report's rows are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportEntry {
    pub day: u64,
    pub customer: String,
    pub user: String,
    pub count: u64,
}

impl ReportEntry {
    /// One of the second day, by a user of its own.
    pub fn new(customer: &str, number: u64) -> Self {
        Self {
            day: 2,
            customer: customer.to_owned(),
            user: format!("u{number:05}"),
            count: number,
        }
    }

    /// Its usage record.
    pub fn record(&self) -> String {
        format!(
            "{{\"timestamp\":\"2026-03-{:02}T08:00:00Z\",\"customer\":\"{}\",\"user\":\"arn:aws:iam::123456789012:user/{}\",\
             \"additional_users_count\":{},\"project_name\":\"p\",\"cluster_name\":\"c\"}}\n",
            self.day, self.customer, self.user, self.count
        )
    }

    /// The key of ours with this number.
    pub fn key(&self, segment: &str) -> String {
        format!(
            "usage-logs/{segment}/2026-03-{:02}_080000-{:08x}.json",
            self.day, self.count
        )
    }
}

/// The report of these deployments.
pub fn expected_csv<'a>(entries: impl IntoIterator<Item = &'a ReportEntry>) -> String {
    let mut entries: Vec<&ReportEntry> = entries.into_iter().collect();
    entries.sort();
    let row = |it: &&ReportEntry| {
        format!(
            "2026-03-{:02},{},{},{},p,c\n",
            it.day, it.customer, it.user, it.count
        )
    };
    CSV_HEADER.to_owned() + &entries.iter().map(row).collect::<String>()
}

/// The report without the rows of other customers.
pub fn rows_of_customer(customer: &str, csv: &str) -> String {
    let of_customer = |line: &&str| line.split(',').nth(1) == Some(customer);
    CSV_HEADER.to_owned()
        + &csv
            .split_inclusive('\n')
            .skip(1)
            .filter(of_customer)
            .collect::<String>()
}

/// Makes each of these claims, which are functions of a [`S3Backend`], a test on each server.
#[macro_export]
macro_rules! on_each_server {
    ($($claim:ident),+ $(,)?) => {$(
        mod $claim {
            use $crate::s3_backend::{S3Backend, S3ServerKind};

            #[test]
            fn on_the_embedded_server() {
                super::$claim(&mut S3Backend::new(S3ServerKind::Embedded));
            }

            #[test]
            fn on_versitygw() {
                super::$claim(&mut S3Backend::new(S3ServerKind::Versitygw));
            }

            #[test]
            fn on_moto() {
                super::$claim(&mut S3Backend::new(S3ServerKind::Moto));
            }
        }
    )+};
}
pub use crate::on_each_server;
