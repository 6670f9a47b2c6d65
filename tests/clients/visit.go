// visit PORT VERSION CA CERT KEY PATH: a GET of PATH, twice, the second time with the session of the first.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	words := os.Args[1:]
	pem, _ := os.ReadFile(words[2])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(words[3], words[4])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	version := uint16(tls.VersionTLS12)
	if words[1] == "1.3" {
		version = tls.VersionTLS13
	}
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "x.test",
		MinVersion: version, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	for turn := 0; turn < 2; turn++ {
		request, _ := http.NewRequest("GET", "https://127.0.0.1:"+words[0]+words[5], nil)
		request.Host = "x.test"
		answer, err := client.Do(request)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		body, err := io.ReadAll(answer.Body)
		how := "full"
		if answer.TLS.DidResume {
			how = "resumed"
		}
		fmt.Printf("TLSv%s %d %d %s\n", words[1], answer.StatusCode, len(body), how)
	}
}
