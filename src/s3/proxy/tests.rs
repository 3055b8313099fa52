//! Which proxy a request gets, compared with Go, and proxies that cannot be used.

use super::*;

/// What Go and curl do; `tests/proxies/generate.go` prints it.
const TABLE: &str = include_str!("../../../tests/proxies/table.tsv");

fn settings_of(variables: &[(&str, &str)]) -> ProxySettings {
    ProxySettings::read(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        let value = found?.1;
        (!value.is_empty()).then(|| value.to_owned())
    })
}

#[test]
fn requests_take_the_way_that_go_chooses() {
    let mut count = 0;
    for row in TABLE.lines().filter(|row| !row.starts_with('#')) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [variables, url, go, _curl] = columns[..] else {
            panic!("four columns: {row}");
        };
        let variables: Vec<(&str, &str)> = variables
            .split('|')
            .filter_map(|it| it.split_once('='))
            .collect();
        let settings = settings_of(&variables);
        let route = match settings.find_route(url).expect("a usable proxy") {
            ProxyRoute::Through(proxy) => proxy.to_string(),
            _ => "direct".to_owned(),
        };
        assert_eq!(route, go, "{row}");
        count += 1;
    }
    assert!(count >= 60, "{count} rows");
}

#[test]
fn an_unusable_proxy_is_named_by_its_variable() {
    const URL: &str = "https://s3.example/";
    for proxy in [
        "http:/jane:s3cret@host",
        "//jane:s3cret@host",
        "http://jane:1/s3cret@host",
        "http://jane:s3 cret@host",
        "http://jane:s3cret@host ",
        "http://jane:s3cret@host:port",
        "http://jane:s3cret@",
        "http://jane:s3cret@b\u{fc}ro.example:3128",
        "socks5://jane:s3cret@host:1080",
    ] {
        let settings = settings_of(&[("https_proxy", proxy)]);
        let error = settings.find_route(URL).expect_err(proxy).to_string();
        assert!(
            error.starts_with("the proxy in https_proxy cannot be used: it"),
            "{proxy}: {error}"
        );
        assert!(!error.contains("s3cret"), "{error}");
        assert!(!format!("{settings:?}").contains("s3cret"), "{settings:?}");

        // Requests that do not need it are not stopped.
        let settings = settings_of(&[("https_proxy", proxy), ("NO_PROXY", "s3.example")]);
        settings.find_route(URL).expect("NO_PROXY");
        settings.find_route("http://s3.example/").expect("HTTP");
    }
}

#[test]
fn user_and_password_are_decoded_at_the_last_at_sign() {
    for (userinfo, encoded) in [
        ("jane:s3cret", "jane:s3cret"),
        ("jane", "jane:"),
        (":s3cret", ":s3cret"),
        ("jane:s3@cr:et", "jane:s3%40cr%3Aet"),
        ("jane:s3%2Fcret%40", "jane:s3%2Fcret%40"),
        ("j\u{e4}ne:%", "j%C3%A4ne:%25"),
    ] {
        assert_eq!(encode_userinfo(userinfo), encoded);
        let proxy = ProxyAddress::parse(&format!("HTTP://{userinfo}@host:1")).expect("usable");
        assert_eq!(proxy.to_string(), "http://host:1");
        assert_eq!(format!("{proxy:?}"), "http://host:1");
    }
}
