// upload URL FILE TIMES [CA CERT KEY]: a POST of FILE, so many times, each on a connection of its own. Prints
// the status of each answer, or what came instead.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"
)

func main() {
	words := os.Args[1:]
	transport := &http.Transport{DisableKeepAlives: true}
	if len(words) > 3 {
		pem, _ := os.ReadFile(words[3])
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		pair, err := tls.LoadX509KeyPair(words[4], words[5])
		if err != nil {
			fmt.Println("lost:", err)
			os.Exit(1)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
	}
	client := &http.Client{Transport: transport, Timeout: 120 * time.Second}
	times, _ := strconv.Atoi(words[2])
	for ; times > 0; times-- {
		file, _ := os.Open(words[1])
		about, _ := file.Stat()
		request, _ := http.NewRequest("POST", words[0], file)
		request.ContentLength = about.Size()
		answer, err := client.Do(request)
		if err != nil {
			fmt.Println("lost:", err)
			continue
		}
		_, err = io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			fmt.Println("lost:", err)
			continue
		}
		fmt.Println(answer.StatusCode)
	}
}
