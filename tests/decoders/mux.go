// Says whether net/http's ServeMux takes a path for one below /admin.
package main

import (
	"io"
	"net/http"
	"os"
)

func main() {
	say := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
	}
	http.HandleFunc("/admin/", say("ADMIN"))
	http.HandleFunc("/admin", say("ADMIN"))
	http.HandleFunc("/", say("public"))
	http.ListenAndServe("127.0.0.1:"+os.Args[1], nil)
}
