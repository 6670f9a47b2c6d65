// Go's word on many chains: the input of openssl.c, and a line for each chain: "ok", or why not.
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

func main() {
	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	seconds, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		os.Exit(2)
	}
	number := func() (uint32, bool) {
		var bytes [4]byte
		_, err := io.ReadFull(in, bytes[:])
		return binary.BigEndian.Uint32(bytes[:]), err == nil
	}
	certificate := func() (*x509.Certificate, error) {
		length, ok := number()
		bytes := make([]byte, length)
		if _, err := io.ReadFull(in, bytes); err != nil || !ok {
			os.Exit(1)
		}
		return x509.ParseCertificate(bytes)
	}
	roots := x509.NewCertPool()
	count, _ := number()
	for ; count > 0; count-- {
		anchor, err := certificate()
		if err != nil {
			os.Exit(1)
		}
		roots.AddCert(anchor)
	}
	for {
		count, ok := number()
		if !ok {
			return
		}
		var leaf *x509.Certificate
		var failure error
		between := x509.NewCertPool()
		for at := uint32(0); at < count; at++ {
			one, err := certificate()
			switch {
			case err != nil && failure == nil:
				failure = err
			case err == nil && at == 0:
				leaf = one
			case err == nil:
				between.AddCert(one)
			}
		}
		if failure == nil {
			_, failure = leaf.Verify(x509.VerifyOptions{
				Roots:         roots,
				Intermediates: between,
				CurrentTime:   time.Unix(seconds, 0),
				KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			})
		}
		if failure == nil {
			fmt.Fprintln(out, "ok")
		} else {
			fmt.Fprintf(out, "%q\n", failure.Error())
		}
	}
}
