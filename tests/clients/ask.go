// ask URL FILE [CA CERT KEY]: makes the requests of FILE, one a line, as tests/tests/peers/field/scenarios.rs writes them.
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type unsized struct{ io.Reader }

func ask(client *http.Client, base string, words []string) string {
	framing, size, _ := strings.Cut(words[2], ":")
	length, _ := strconv.Atoi(size)
	content := bytes.Repeat([]byte("0123456789"), length/10+1)[:length]
	var body io.Reader
	switch framing {
	case "length":
		body = bytes.NewReader(content)
	case "chunked":
		body = unsized{bytes.NewReader(content)}
	case "abort":
		body = unsized{io.MultiReader(bytes.NewReader(content[:length/2]), broken{})}
	}
	request, err := http.NewRequest(words[0], base+words[1], body)
	if err != nil {
		return "lost " + err.Error()
	}
	if framing == "abort" {
		request.ContentLength = int64(length)
	}
	switch words[3] {
	case "expect":
		request.Header.Set("Expect", "100-continue")
	case "trailers":
		request.Header.Set("TE", "trailers")
		request.Header.Set("Connection", "te")
	case "many":
		for at := 0; at < 60; at++ {
			request.Header.Set(fmt.Sprintf("X-Many-%d", at), strings.Repeat("v", 100))
		}
	}
	answer, err := client.Do(request)
	if framing == "abort" {
		return "aborted"
	}
	if err != nil {
		return "lost " + err.Error()
	}
	defer answer.Body.Close()
	if words[3] == "abort" {
		answer.Body.Read(make([]byte, 1))
		return "aborted"
	}
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		return "lost " + err.Error()
	}
	sum := sha256.Sum256(all)
	values := answer.Header.Values(words[4])
	if len(values) == 0 {
		values = answer.Trailer.Values(words[4])
	}
	if len(values) == 0 {
		values = []string{"-"}
	}
	return fmt.Sprintf("%d %d %x %s", answer.StatusCode, len(all), sum[:4], strings.Join(values, "|"))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, fmt.Errorf("enough") }

func main() {
	transport := &http.Transport{ExpectContinueTimeout: 5 * time.Second}
	if len(os.Args) > 3 {
		pem, _ := os.ReadFile(os.Args[3])
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		pair, err := tls.LoadX509KeyPair(os.Args[4], os.Args[5])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	text, _ := os.ReadFile(os.Args[2])
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		words := strings.Split(line, " ")
		fmt.Println(words[0], ask(client, os.Args[1], words[1:]))
	}
}
