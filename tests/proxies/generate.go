// Prints table.tsv: whether Go (net/http) and curl send a request through a proxy, for each case below.
//
// Usage: go run tests/proxies/generate.go >tests/proxies/table.tsv
//
// src/s3/proxy/tests.rs compares our decision with Go's. curl is there to show where the two differ.
package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

const proxy = "HTTPS_PROXY=http://p.test:3128|https_proxy=http://p.test:3128|http_proxy=http://p.test:3128"

// What curl says with --verbose.
var usesVariable = regexp.MustCompile(`Uses proxy env variable (\w+) == '(.*)'`)

// Variables, and URLs.
var cases = []struct {
	variables string
	urls      []string
}{
	// Which variable.
	{"", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=http://p.test:3128", []string{"https://s3.test/", "http://s3.test/"}},
	{"https_proxy=http://p.test:3128", []string{"https://s3.test/", "http://s3.test/"}},
	{"HTTP_PROXY=http://p.test:3128", []string{"https://s3.test/", "http://s3.test/"}},
	{"http_proxy=http://p.test:3128", []string{"https://s3.test/", "http://s3.test/"}},
	{"HTTPS_PROXY=http://upper.test:1|https_proxy=http://lower.test:2", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=|https_proxy=http://lower.test:2", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=", []string{"https://s3.test/"}},
	{"ALL_PROXY=http://p.test:3128", []string{"https://s3.test/", "http://s3.test/"}},
	{"all_proxy=http://p.test:3128", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=http://p.test:3128|NO_PROXY=|no_proxy=s3.test", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=http://p.test:3128|NO_PROXY=other.test|no_proxy=s3.test", []string{"https://s3.test/", "https://other.test/"}},
	// How the proxy is written.
	{"HTTPS_PROXY=p.test:3128", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=p.test", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=127.0.0.1:3128", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=jane:secret@p.test:3128", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=http://jane:se%2Fcret%40@p.test:3128", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=http://jane:se@cret@p.test:3128", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=HTTP://p.test:3128/", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=http://p.test:3128/path?query", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=https://p.test:3128", []string{"https://s3.test/"}},
	{"HTTPS_PROXY=http://[2001:db8::9]:3128", []string{"https://s3.test/"}},
	// This machine.
	{proxy, []string{"https://localhost/", "http://localhost:9000/", "https://127.0.0.1/", "https://127.8.9.1:9000/",
		"http://[::1]:9000/", "http://[::ffff:127.0.0.1]/", "http://LOCALHOST/", "https://a.localhost/", "https://localhost.test/"}},
	// NO_PROXY: domains.
	{proxy + "|NO_PROXY=s3.test", []string{"https://s3.test/", "https://S3.Test/", "https://b.s3.test/", "https://xs3.test/", "https://s3.test.com/", "https://s3.test:8443/"}},
	{proxy + "|NO_PROXY=.s3.test", []string{"https://s3.test/", "https://b.s3.test/", "https://xs3.test/"}},
	{proxy + "|NO_PROXY=*.s3.test", []string{"https://s3.test/", "https://b.s3.test/", "https://c.b.s3.test/"}},
	{proxy + "|NO_PROXY=*s3.test", []string{"https://s3.test/", "https://xs3.test/"}},
	{proxy + "|NO_PROXY=s3.*", []string{"https://s3.test/"}},
	{proxy + "|NO_PROXY=S3.TEST", []string{"https://b.s3.test/"}},
	{proxy + "|NO_PROXY=s3.test.", []string{"https://s3.test/", "https://s3.test./"}},
	{proxy + "|NO_PROXY=s3.test", []string{"https://s3.test./"}},
	{proxy + "|NO_PROXY=test", []string{"https://s3.test/"}},
	{proxy + "|NO_PROXY=.", []string{"https://s3.test/", "https://s3.test./"}},
	// NO_PROXY: lists.
	{proxy + "|NO_PROXY=*", []string{"https://s3.test/", "https://10.1.2.3/"}},
	{proxy + "|NO_PROXY=a.test,*", []string{"https://s3.test/", "https://10.1.2.3/"}},
	{proxy + "|NO_PROXY= * ", []string{"https://s3.test/"}},
	{proxy + "|NO_PROXY= a.test , s3.test ,", []string{"https://s3.test/", "https://a.test/", "https://b.test/"}},
	{proxy + "|NO_PROXY=a.test s3.test", []string{"https://s3.test/", "https://a.test/"}},
	{proxy + "|NO_PROXY=,,", []string{"https://s3.test/"}},
	// NO_PROXY: ports.
	{proxy + "|NO_PROXY=s3.test:443", []string{"https://s3.test/", "https://b.s3.test/", "https://s3.test:8443/", "http://s3.test/"}},
	{proxy + "|NO_PROXY=s3.test:80", []string{"https://s3.test/", "http://s3.test/"}},
	{proxy + "|NO_PROXY=.s3.test:9000", []string{"http://b.s3.test:9000/", "http://s3.test:9000/", "http://b.s3.test/"}},
	{proxy + "|NO_PROXY=s3.test:", []string{"https://s3.test/"}},
	{proxy + "|NO_PROXY=:443", []string{"https://s3.test/"}},
	{proxy + "|NO_PROXY=*:443", []string{"https://s3.test/"}},
	{proxy + "|NO_PROXY=s3.test:443:1", []string{"https://s3.test/"}},
	{proxy + "|NO_PROXY=10.1.2.3:9000", []string{"http://10.1.2.3:9000/", "http://10.1.2.3/"}},
	{proxy + "|NO_PROXY=[2001:db8::1]:9000", []string{"http://[2001:db8::1]:9000/", "http://[2001:db8::1]/"}},
	// NO_PROXY: addresses.
	{proxy + "|NO_PROXY=10.1.2.3", []string{"https://10.1.2.3/", "https://10.1.2.3:8443/", "https://10.1.2.30/", "https://x.10.1.2.3/"}},
	{proxy + "|NO_PROXY=10.0.0.0/8", []string{"https://10.1.2.3/", "https://11.1.2.3/", "https://s3.test/"}},
	{proxy + "|NO_PROXY=10.1.2.3/31", []string{"https://10.1.2.2/", "https://10.1.2.4/"}},
	{proxy + "|NO_PROXY=0.0.0.0/0", []string{"https://10.1.2.3/", "https://[2001:db8::1]/", "https://s3.test/"}},
	{proxy + "|NO_PROXY=10.0.0.0/33", []string{"https://10.1.2.3/"}},
	{proxy + "|NO_PROXY=10.", []string{"https://10.1.2.3/"}},
	{proxy + "|NO_PROXY=2001:db8::1", []string{"https://[2001:db8::1]/", "https://[2001:DB8:0::1]:8443/", "https://[2001:db8::2]/"}},
	{proxy + "|NO_PROXY=[2001:db8::1]", []string{"https://[2001:db8::1]/"}},
	{proxy + "|NO_PROXY=2001:db8::/32", []string{"https://[2001:db8:1::1]/", "https://[2001:db9::1]/"}},
	{proxy + "|NO_PROXY=::ffff:10.1.2.3", []string{"https://10.1.2.3/"}},
	{proxy + "|NO_PROXY=10.1.2.3", []string{"https://[::ffff:10.1.2.3]/"}},
	// Real ones.
	{"HTTPS_PROXY=http://p.test:3128|NO_PROXY=.amazonaws.com", []string{"https://b.s3.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com/", "https://portal.sso.us-east-1.amazonaws.com/"}},
	{"HTTPS_PROXY=http://p.test:3128|NO_PROXY=169.254.169.254,s3.us-east-1.amazonaws.com", []string{"https://b.s3.us-east-1.amazonaws.com/", "https://sts.us-east-1.amazonaws.com/"}},
}

func main() {
	if len(os.Args) == 2 {
		fmt.Print(decide(os.Args[1]))
		return
	}
	fmt.Println("# variables\tURL\tGo\tcurl")
	for _, it := range cases {
		for _, target := range it.urls {
			fmt.Printf("%s\t%s\t%s\t%s\n", it.variables, target, askGo(it.variables, target), askCurl(it.variables, target))
		}
	}
}

// net/http reads the environment once, so each case has a process of its own.
func askGo(variables, target string) string {
	program, err := os.Executable()
	if err != nil {
		panic(err)
	}
	command := exec.Command(program, target)
	command.Env = environment(variables)
	answer, err := command.Output()
	if err != nil {
		panic(err)
	}
	return string(answer)
}

func decide(target string) string {
	request, err := http.NewRequest("GET", target, nil)
	if err != nil {
		panic(err)
	}
	chosen, err := http.ProxyFromEnvironment(request)
	if err != nil {
		panic(err)
	}
	if chosen == nil {
		return "direct"
	}
	return chosen.Scheme + "://" + chosen.Host
}

func askCurl(variables, target string) string {
	command := exec.Command("curl", "--silent", "--verbose", "--max-time", "0.1", target)
	command.Env = environment(variables)
	// It fails, because nothing listens. What it intends is in its words.
	said, _ := command.CombinedOutput()
	for _, found := range usesVariable.FindAllStringSubmatch(string(said), -1) {
		if strings.EqualFold(found[1], "no_proxy") {
			continue
		}
		if !strings.Contains(found[2], "://") {
			found[2] = "http://" + found[2]
		}
		chosen, err := url.Parse(found[2])
		if err != nil {
			panic(err)
		}
		return chosen.Scheme + "://" + chosen.Host
	}
	return "direct"
}

func environment(variables string) []string {
	set := []string{"PATH=" + os.Getenv("PATH")}
	if variables == "" {
		return set
	}
	return append(set, strings.Split(variables, "|")...)
}
