//! Looks up the addresses of hosts, also where no thread can be started.
//!
//! The SDK's own lookup needs a thread of tokio, which panics without one.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

use crate::system::background::run_in_background_or_here;

#[derive(Debug, Clone, Copy)]
pub(super) struct SystemNameLookup;

impl ResolveDns for SystemNameLookup {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        let name = name.to_owned();
        DnsFuture::new(async move {
            let found = run_in_background_or_here(move || look_up(&name)).await;
            let stopped = || Err(io::Error::other("the lookup of the host stopped"));
            found.unwrap_or_else(stopped).map_err(ResolveDnsError::new)
        })
    }
}

fn look_up(name: &str) -> io::Result<Vec<IpAddr>> {
    // The port is not looked up.
    let addresses = (name, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).collect())
}
