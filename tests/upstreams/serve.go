// serve PORT [CA CERT KEY]: the upstream of tests/tests/peers/field, on Go's net/http.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

var big = bytes.Repeat([]byte("0123456789"), 300000)

func answer(w http.ResponseWriter, r *http.Request) {
	fields := w.Header()
	switch r.URL.Path {
	case "/hello":
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "hello\n")
	case "/echo":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fields.Set("X-Method", r.Method)
		fields.Set("Content-Length", fmt.Sprint(len(body)))
		w.Write(body)
	case "/many":
		count := 0
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Many-") {
				count++
			}
		}
		fields.Set("X-Count", fmt.Sprint(count))
	case "/empty":
		fields.Set("X-Told", "empty")
		w.WriteHeader(204)
	case "/same":
		fields.Set("ETag", `"1"`)
		w.WriteHeader(304)
	case "/moved":
		fields.Set("Location", "/hello")
		w.WriteHeader(302)
	case "/cookies":
		fields.Add("Set-Cookie", "a=1")
		fields.Add("Set-Cookie", "b=2; Path=/")
		io.WriteString(w, "cookies\n")
	case "/gzip":
		fields.Set("Content-Encoding", "gzip")
		packed := gzip.NewWriter(w)
		packed.Write(big)
		packed.Close()
	case "/fields":
		for at := 0; at < 60; at++ {
			fields.Set(fmt.Sprintf("X-Field-%d", at), strings.Repeat("v", 100))
		}
		io.WriteString(w, "fields\n")
	case "/chunked":
		for _, piece := range []string{"one ", "two ", "three\n"} {
			io.WriteString(w, piece)
			w.(http.Flusher).Flush()
			time.Sleep(30 * time.Millisecond)
		}
	case "/trailers":
		fields.Set("Trailer", "X-Sum")
		io.WriteString(w, "trailers\n")
		w.(http.Flusher).Flush()
		fields.Set("X-Sum", "6")
	case "/large":
		w.Write(big)
	case "/close":
		fields.Set("Connection", "close")
		io.WriteString(w, "close\n")
	case "/early":
		fields.Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		fields.Del("Link")
		io.WriteString(w, "early\n")
	case "/processing":
		w.WriteHeader(102)
		io.WriteString(w, "processing\n")
	case "/old":
		line, _, _ := w.(http.Hijacker).Hijack()
		io.WriteString(line, "HTTP/1.0 200 OK\r\nX-Told: old\r\n\r\nold\n")
		line.Close()
	case "/refuse":
		w.WriteHeader(413)
		io.WriteString(w, "too big\n")
	default:
		w.WriteHeader(404)
	}
}

func main() {
	server := &http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: http.HandlerFunc(answer), IdleTimeout: time.Second}
	if len(os.Args) == 2 {
		fmt.Println(server.ListenAndServe())
		return
	}
	pem, _ := os.ReadFile(os.Args[2])
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	server.TLSConfig = &tls.Config{ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	// Without HTTP/2.
	server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	fmt.Println(server.ListenAndServeTLS(os.Args[3], os.Args[4]))
}
