//! A world whose S3 is the embedded server, versitygw or moto, and records with their expected
//! report rows.

use std::ops::RangeInclusive;

use crate::faulty_proxy::{FaultyProxy, RequestFate};
use crate::s3_client::S3TestClient;
use crate::s3_servers::{MotoServer, VersityGateway};
use crate::world::{BUCKET, World, to_text};

pub const CSV_HEADER: &str =
    "timestamp,customer,user,additional_users_count,project_name,cluster_name\n";
/// The first words of requests for records, and of listings.
pub const RECORD_GET_LINE: &str = "GET /mongodb-arena/usage-logs/";
pub const LIST_LINE: &str = "GET /mongodb-arena/?";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3ServerKind {
    Embedded,
    Versitygw,
    Moto,
}

pub struct S3Backend {
    pub kind: S3ServerKind,
    /// Writes and deletes directly, without a proxy.
    pub client: S3TestClient,
    pub endpoint: String,
    // Dropped before the world, whose folder they use.
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

    /// Puts a proxy between the helper and the server. The helper has a separate cache for its
    /// endpoint.
    pub fn start_proxy(
        &mut self,
        fate: impl Fn(&str) -> RequestFate + Send + Sync + 'static,
    ) -> FaultyProxy {
        let proxy = FaultyProxy::start(&self.endpoint, fate);
        self.world.set_s3_endpoint(&proxy.endpoint());
        proxy
    }

    /// Asserts the total numbers of GETs of records and of listed pages in the log of the server.
    pub fn assert_requests(&self, records: usize, pages: RangeInclusive<usize>) {
        let asked = || match (&self.gateway, &self.moto) {
            (Some(gateway), _) => gateway.asked(),
            (_, Some(moto)) => moto.asked(),
            _ => (
                self.world.count_requests("GetObject", ""),
                self.world.count_requests("ListObjectsV2", ""),
            ),
        };
        // Some servers log a request after they have answered it.
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
            // Without HTTP, which takes a fifth of the time.
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

    /// Runs `report`, which must exit 0 without messages, and returns the CSV.
    pub fn report_csv(&self, arguments: &[&str]) -> String {
        let (code, csv, messages) = self.run_report(arguments);
        assert_eq!((code, messages.as_str()), (Some(0), ""), "{arguments:?}");
        csv
    }
}

/// A deployment, ordered as the rows of a report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportEntry {
    pub day: u64,
    pub customer: String,
    pub user: String,
    pub count: u64,
}

impl ReportEntry {
    /// A deployment on the second day, by its own user.
    pub fn new(customer: &str, number: u64) -> Self {
        Self {
            day: 2,
            customer: customer.to_owned(),
            user: format!("u{number:05}"),
            count: number,
        }
    }

    pub fn record(&self) -> String {
        format!(
            "{{\"timestamp\":\"2026-03-{:02}T08:00:00Z\",\"customer\":\"{}\",\"user\":\"arn:aws:iam::123456789012:user/{}\",\
             \"additional_users_count\":{},\"project_name\":\"p\",\"cluster_name\":\"c\"}}\n",
            self.day, self.customer, self.user, self.count
        )
    }

    /// The key of its record below this segment.
    pub fn key(&self, segment: &str) -> String {
        format!(
            "usage-logs/{segment}/2026-03-{:02}_080000-{:08x}.json",
            self.day, self.count
        )
    }
}

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

pub fn rows_of_customer(customer: &str, csv: &str) -> String {
    let of_customer = |line: &&str| line.split(',').nth(1) == Some(customer);
    CSV_HEADER.to_owned()
        + &csv
            .split_inclusive('\n')
            .skip(1)
            .filter(of_customer)
            .collect::<String>()
}

/// Makes each of these functions of an [`S3Backend`] a test on each server.
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
